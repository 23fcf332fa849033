"""The simulated kit: the bytes are the firmware's, and the values a day's."""

import json
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from conftest import RunningBroker
from kits import simulated
from mqtt_device import known
from waiting import wait_for

from ingestor.payload import parse_each, parse_raw
from scripts.firmware import CHANNELS, KEYS, SENSORS, Firmware, json_payload, plausible_value, raw_payload
from scripts.simulate_kit import Kit
from sql import DictConnection

# A group number that all sensors are in (it divides by 3 and 5), at noon, when most values are longest.
NOON = datetime(2026, 6, 21, 12, 0, tzinfo=UTC)
TOKEN = "a1b2c3"


@pytest.fixture(params=SENSORS)
def firmware(request: pytest.FixtureRequest) -> Firmware:
    return Firmware(TOKEN, request.param, interval_s=60, seed=7)


def test_readings_are_printed_as_the_firmware_prints_them() -> None:
    # A message of a kit 2.3, shortened.
    time = datetime(2026, 11, 22, 18, 30, 5, tzinfo=UTC)
    values = {10: 87, 221: 0, 220: -63, 14: 123, 55: 22.41, 56: 48.2, 53: 47.32, 58: 101.21, 193: 3.1, 216: 0.11}

    assert raw_payload(time, values) == (
        b"{t:2026-11-22T18:30:05Z,10:87,221:0,220:-63,14:123,55:22.41,56:48.20,53:47.32,58:101.21,193:3.10,216:0.11}"
    )


def test_a_kit_2_3_sends_its_sensors_in_the_firmwares_order() -> None:
    sent = Firmware(TOKEN, "2.3", interval_s=60, seed=7).readings(NOON)

    assert list(sent) == [10, 221, 220, 14, 55, 56, 53, 58, *range(193, 207), 214, 215, 216]


def test_the_ingestor_reads_back_every_value_of_a_raw_payload(firmware: Firmware) -> None:
    values = firmware.readings(NOON)

    datapoints, flaws = parse_raw(raw_payload(NOON, values))

    assert (datapoints, flaws) == ([(sensor, NOON, value) for sensor, value in values.items()], [])


def test_the_ingestor_reads_back_every_value_of_a_json_payload(firmware: Firmware) -> None:
    values = firmware.readings(NOON)

    ((datapoints, flaws),), _ = parse_each(json_payload(NOON, values))

    assert (datapoints, flaws) == ([(sensor, NOON, value) for sensor, value in values.items()], [])


def test_every_message_fits_the_kits_buffer_of_511_bytes(firmware: Firmware) -> None:
    day = [NOON + timedelta(minutes=15) * quarter for quarter in range(96)]

    assert max(len(raw_payload(time, firmware.readings(time))) for time in day) <= 511
    assert len(firmware.info(NOON)) <= 511


def test_particles_are_in_every_fifth_group_and_the_wifi_in_every_third() -> None:
    firmware = Firmware(TOKEN, "2.1", interval_s=60, seed=7)
    groups = [firmware.readings(NOON + timedelta(minutes=minute)) for minute in range(15)]

    assert [minute for minute, group in enumerate(groups) if 87 in group] == [0, 5, 10]
    assert [minute for minute, group in enumerate(groups) if 220 in group] == [0, 3, 6, 9, 12]


def test_a_kit_connects_with_the_firmwares_bytes() -> None:
    kit = Kit(Firmware(TOKEN, "2.1", interval_s=60, seed=7), NOON, as_json=False, wake=threading.Event())
    with socket.create_server(("127.0.0.1", 0)) as broker:
        kit.connect(*broker.getsockname())
        connection, _ = broker.accept()
        with connection:
            sent = connection.recv(100)
            kit.close()

    # MQTT 3.1.1, clean session, keep-alive 120 s, the token as client id, nothing else
    assert sent == bytes.fromhex("1012 0004 4d515454 04 02 0078 0006 613162326333")


def test_a_kit_introduces_itself_as_the_firmware_does(firmware: Firmware) -> None:
    info = json.loads(firmware.info(NOON))

    assert firmware.hello() == b"a1b2c3:Hello"
    assert list(info) == ["time", "hw_ver", "id", "sam_ver", "sam_bd", "mac", "esp_ver", "esp_bd", "rcause"]
    assert info["hw_ver"] == firmware.hardware


def test_values_repeat_for_a_seed_and_differ_between_seeds(firmware: Firmware) -> None:
    assert firmware.readings(NOON) == firmware.readings(NOON)
    assert firmware.readings(NOON) != firmware._replace(seed=8).readings(NOON)


@pytest.mark.parametrize("seed", range(5))
def test_night_is_darker_and_colder_than_day(seed: int) -> None:
    night = NOON.replace(hour=2)

    assert plausible_value(14, night, seed) < plausible_value(14, NOON, seed)
    assert plausible_value(55, night, seed) < plausible_value(55, NOON, seed)


@pytest.mark.parametrize("sensor", CHANNELS)
def test_a_value_stays_in_its_sensors_range_all_year(sensor: int) -> None:
    channel = CHANNELS[sensor]
    margin = 0.13 * abs(channel.peak - channel.rest) + 0.01  # weather, one reading's noise, rounding
    low, high = min(channel.rest, channel.peak) - margin, max(channel.rest, channel.peak) + margin

    year = [NOON + timedelta(hours=7) * step for step in range(1250)]

    assert all(low <= plausible_value(sensor, time, 3) <= high for time in year)


def test_a_configuration_says_which_sensors_read_and_how_often() -> None:
    firmware = Firmware(TOKEN, "2.1", interval_s=60, seed=7)
    config = {
        "publish_interval": 300,
        "components": {"t": {"interval": None, "enabled": False}, "pm_avg_2.5": {"interval": 900, "enabled": True}},
    }

    told = firmware.configured(config)
    groups = [told.readings(NOON + timedelta(seconds=300 * number)) for number in range(7)]

    assert told.interval_s == 300
    assert all(55 not in group and 56 in group for group in groups)
    assert [number for number, group in enumerate(groups) if 87 in group] == [0, 3, 6]


def test_a_kit_names_its_components_as_the_catalogue_does(conn: DictConnection) -> None:
    rows = conn.execute("SELECT id, default_key FROM sensors WHERE id = ANY(%s)", [list(CHANNELS)]).fetchall()

    assert {row["id"]: row["default_key"] for row in rows if row["default_key"]} == KEYS


@pytest.mark.usefixtures("keeper", "ingestor")
def test_a_kit_that_logs_in_does_what_it_is_told_or_says_why_not(user: Caller, broker: RunningBroker) -> None:
    device = user.register_device()
    path = f"/v0/devices/{device['id']}/config"

    def reported(version: int) -> Callable[[], bool]:
        return lambda: ((user.get(path).json["reported"] or {}).get("version")) == version

    with simulated(broker.device_url, known(broker, device["device_token"])) as kit:
        wait_for(lambda: user.get(f"/v0/devices/{device['id']}").json["last_reading_at"])
        user.put(path, {"publish_interval": 2, "components": {"t": {"enabled": False}}})
        wait_for(reported(1))
        applied = user.get(path).json
        user.put(path, {"publish_interval": 0.5})
        wait_for(reported(2))
        refused = user.get(path).json

    assert (applied["difference"], kit.firmware.interval_s) == (None, 2)
    assert 55 not in kit.firmware.readings(NOON)
    assert (refused["reported"]["applied"], refused["reported"]["publish_interval"]) == (False, 2)
    assert refused["reported"]["error"].startswith("publish_interval 0.5: ")


@pytest.mark.usefixtures("keeper", "ingestor")
def test_a_kit_with_a_broken_sensor_reports_it_and_counts_what_its_receipts_say(
    user: Caller, broker: RunningBroker
) -> None:
    device = user.register_device()

    def errors() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = user.get(f"/v0/devices/{device['id']}/errors").json
        return found

    with simulated(broker.device_url, known(broker, device["device_token"]), as_json=True, broken=(55,)) as kit:
        wait_for(lambda: sum(error["count"] for error in errors()) >= 2 and kit.receipts["stored"])

    sensors = {component["id"] for component in user.get(f"/v0/devices/{device['id']}").json["data"]["sensors"]}
    assert {(error["component"], error["code"]) for error in errors()} == {("55", "no_answer")}
    assert kit.receipts["quarantined"] == 0
    assert sensors
    assert 55 not in sensors


@pytest.mark.usefixtures("ingestor")
def test_a_simulated_kit_is_set_up_as_a_real_one_is(anybody: Caller, user: Caller, broker: RunningBroker) -> None:
    begun = anybody.post("/v0/onboarding/device", {"name": "Balcony"}).json
    headers = {"OnboardingSession": begun["onboarding_session"]}

    def handshake() -> Any:
        return anybody.get("/v0/onboarding/device", headers=headers).json["device_handshake"]

    before = handshake()
    with simulated(broker.kit_url, begun["device_token"], login=False):
        wait_for(handshake)
        device = user.post("/v0/onboarding/register", {}, headers=headers).json
        wait_for(lambda: user.get(f"/v0/devices/{device['id']}").json["last_reading_at"])

    assert before is False
    assert user.get(f"/v0/devices/{device['id']}").json["hardware"]["last_status_message"]["hw_ver"] == "2.1"
