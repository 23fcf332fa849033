"""From the broker to the hypertable and back as history, through the real daemon."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from proxy import proxy_to
from readings import receive
from waiting import refresh_all, wait_for

from ingestor.intake import Message
from ingestor.stopping import Stopping
from ingestor.store import Store
from ingestor.tokens import hash_token
from sql import DictConnection

# The reference's own examples: the kits' compact grammar, and JSON.
RAW = b"{t:2026-01-15T08:30:00Z,55:21.4,56:48,10:97}"
JSON = b'{"data":[{"recorded_at":"2026-01-15T08:31:00Z","sensors":[{"id":55,"value":21.5},{"id":56,"value":49}]}]}'
DAY = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def stored(conn: DictConnection, device_id: int) -> list[tuple[int, str, float]]:
    """Return the rows of a device: sensor, minute, value."""
    rows = conn.execute(
        "SELECT sensor_id, to_char(time, 'HH24:MI') AS at, value FROM datapoints WHERE device_id = %s "
        "ORDER BY time, sensor_id",
        [device_id],
    )
    return [(row["sensor_id"], row["at"], row["value"]) for row in rows]


def quarantined(conn: DictConnection, device_id: int) -> list[tuple[str, str, bytes]]:
    """Return what was kept of a device: topic, reason, payload."""
    rows = conn.execute(
        "SELECT topic, reason, payload FROM quarantine WHERE device_id = %s ORDER BY reason, payload", [device_id]
    )
    return [(row["topic"], row["reason"], bytes(row["payload"])) for row in rows]


@pytest.mark.parametrize("refreshed", [False, True], ids=["before the aggregates are refreshed", "and after"])
@pytest.mark.usefixtures("ingestor")
def test_a_kits_readings_come_back_as_history(
    device: dict[str, Any], anybody: Caller, broker: RunningBroker, conn: DictConnection, refreshed: bool
) -> None:
    publish(broker, device["device_token"], "readings/raw", RAW, qos=0)
    publish(broker, device["device_token"], "readings", JSON)
    wait_for(lambda: len(stored(conn, device["id"])) == 5)
    if refreshed:
        refresh_all(conn)

    assert anybody.history(device["id"], 55, **DAY) == [["2026-01-15T08:30:00Z", 21.4], ["2026-01-15T08:31:00Z", 21.5]]
    assert anybody.history(device["id"], 56, **DAY | {"rollup": "1h"}) == [["2026-01-15T08:00:00Z", 48.5]]
    assert anybody.history(device["id"], 55, **DAY | {"rollup": "1d", "function": "count"}) == [
        ["2026-01-15T00:00:00Z", 2]
    ]


@pytest.mark.usefixtures("ingestor")
def test_the_latest_values_of_a_device_are_those_of_its_newest_reading(
    device: dict[str, Any], anybody: Caller, broker: RunningBroker
) -> None:
    late = RAW.replace(b"08:30", b"07:00").replace(b"21.4", b"3")
    publish(broker, device["device_token"], "readings/raw", RAW, RAW.replace(b"08:30", b"08:31"), late)

    def shown() -> dict[str, Any]:
        shown: dict[str, Any] = anybody.get(f"/v0/devices/{device['id']}").json
        return shown

    wait_for(lambda: len(anybody.history(device["id"], 55, **DAY)) == 3)
    (temperature,) = [sensor for sensor in shown()["data"]["sensors"] if sensor["id"] == 55]
    assert shown()["last_reading_at"] == "2026-01-15T08:31:00Z"
    assert (temperature["value"], temperature["last_reading_at"]) == (21.4, "2026-01-15T08:31:00Z")


@pytest.mark.usefixtures("ingestor")
def test_the_same_message_three_times_is_stored_once(
    device: dict[str, Any], broker: RunningBroker, conn: DictConnection
) -> None:
    publish(broker, device["device_token"], "readings/raw", RAW, RAW, RAW)
    publish(broker, device["device_token"], "readings", JSON)

    wait_for(lambda: len(stored(conn, device["id"])) >= 5)
    assert stored(conn, device["id"]) == [
        (10, "08:30", 97.0),
        (55, "08:30", 21.4),
        (56, "08:30", 48.0),
        (55, "08:31", 21.5),
        (56, "08:31", 49.0),
    ]


def test_an_ingestor_killed_between_commit_and_acknowledgement_stores_every_row_once(
    device: dict[str, Any], broker: RunningBroker, conn: DictConnection, database_url: str
) -> None:
    url = urlsplit(broker.platform_url)
    payloads = [RAW.replace(b"08:30", b"%02d:%02d" % divmod(minute, 60)) for minute in range(300)]
    with proxy_to(url.port or 0) as proxy:
        behind = url._replace(netloc=url.netloc.replace(str(url.port), str(proxy.port))).geturl()
        ingestor = RunningIngestor(database_url, behind)
        ingestor.start()
        try:
            ingestor.wait_until_ready()
            proxy.deaf.set()  # from here on the broker hears no acknowledgement
            publish(broker, device["device_token"], "readings/raw", *payloads)
            wait_for(lambda: len(stored(conn, device["id"])) == 900)
            ingestor.kill()
            proxy.cut()
            proxy.deaf.clear()

            ingestor.start()
            ingestor.wait_until_ready()
            publish(broker, device["device_token"], "readings", JSON.replace(b"08:31", b"23:59"))
            wait_for(lambda: (55, "23:59", 21.5) in stored(conn, device["id"]))
        finally:
            ingestor.stop()

    again = sum(json.loads(line)["duplicate"] for line in ingestor.last_lines if '"event":"batch"' in line)
    assert again == 900, "the broker did not send again what it had no acknowledgement of"
    assert len(stored(conn, device["id"])) == 902


def test_a_stopped_ingestor_has_stored_and_acknowledged_its_batch(
    device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    payloads = [RAW.replace(b"08:30", b"%02d:%02d" % divmod(minute, 60)) for minute in range(500)]
    publish(broker, device["device_token"], "readings/raw", *payloads)
    wait_for(lambda: stored(conn, device["id"]))
    ingestor.stop()
    assert ingestor.exit_code == 0
    assert any('"event":"stopped"' in line for line in ingestor.last_lines)

    ingestor.start()
    wait_for(lambda: len(stored(conn, device["id"])) == 1500)


def test_what_a_stopped_ingestor_has_not_acknowledged_it_leaves_to_the_next_one(
    device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    with conn.transaction():
        conn.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [device["id"]])
        publish(broker, device["device_token"], "readings/raw", RAW)
        time.sleep(0.5)  # its batch waits for the device by now
        publish(broker, device["device_token"], "readings/raw", RAW.replace(b"08:30", b"08:31"))
        time.sleep(0.5)
        os.kill(ingestor.pid, signal.SIGTERM)
    wait_for(lambda: ingestor.exit_code == 0)
    ingestor.start()
    publish(broker, device["device_token"], "readings/raw", RAW.replace(b"08:30", b"08:32"))
    wait_for(lambda: len(stored(conn, device["id"])) == 9)

    def batches() -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(ingestor.last_lines) if '"event":"batch"' in line]

    wait_for(lambda: sum(batch["stored"] for batch in batches()) >= 3)
    assert sum(batch["duplicate"] for batch in batches()) == 0


def test_readings_sent_at_qos_0_while_the_ingestor_is_away_are_stored_when_it_is_back(
    device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    ingestor.stop()
    publish(broker, device["device_token"], "readings/raw", RAW, RAW.replace(b"08:30", b"08:31"), qos=0)
    ingestor.start()

    wait_for(lambda: len(stored(conn, device["id"])) == 6)


@pytest.fixture
def kept(broker: RunningBroker, conn: DictConnection, ingestor: RunningIngestor) -> Iterator[Callable[..., Any]]:
    """Publishes a payload and a sound neighbour; returns what is in quarantine once the neighbour is stored."""

    def kept(device: dict[str, Any], topic: str, payload: bytes) -> list[tuple[str, str, bytes]]:
        publish(broker, device["device_token"], topic, payload)
        publish(broker, device["device_token"], "readings", JSON)
        wait_for(lambda: (55, "08:31", 21.5) in stored(conn, device["id"]))
        return quarantined(conn, device["id"])

    yield kept
    assert ingestor.exit_code is None


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4,9999:1}", "unknown_sensor"),
        ("readings/raw", b"{t:1970-01-01T00:00:00Z,55:21.4}", "impossible_time"),
        ("readings/raw", b"{t:2106-02-07T06:28:15Z,55:21.4}", "impossible_time"),
        ("readings/raw", b"{55:21.4}", "no_time"),
        ("readings/raw", b"{t:2026-01-15T08:30:00Z,55:nan,56:48}", "not_a_number"),
        ("readings/raw", b"{t:2026-01-15T08:30:00Z,55=21.4}", "unreadable"),
        ("readings", b"not JSON at all", "unreadable"),
        ("readings", b"\x00\xff{", "unreadable"),
        ("readings", b"[" * 50_000, "unreadable"),
        ("info", b"no object", "unreadable"),
    ],
)
def test_what_cannot_be_stored_is_kept_with_its_reason_and_costs_no_neighbour(
    device: dict[str, Any], kept: Callable[..., Any], topic: str, payload: bytes, reason: str
) -> None:
    assert [(where, why) for where, why, _ in kept(device, topic, payload)] == [(f"device/sck/+/{topic}", reason)]


def test_the_sound_values_beside_an_unknown_sensor_are_stored(
    device: dict[str, Any], kept: Callable[..., Any], conn: DictConnection
) -> None:
    ((_, _, item),) = kept(device, "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4,9999:1}")

    assert (55, "08:30", 21.4) in stored(conn, device["id"])
    assert json.loads(item) == {"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 9999, "value": 1.0}]}


def test_a_topic_that_no_index_has_room_for_holds_nobody_up(
    database_url: str, user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    prefix = f"{secrets.token_hex(20_000)}/"  # where a bridge's prefix is a wildcard, anybody may choose it
    topics = [
        f"{prefix}device/sck/stranger-of-a-long-name/readings/raw",
        f"device/sck/{device['device_token']}/readings/raw",
    ]
    stopping = Stopping()
    stopping.set()  # else it would try for ever

    with closing(Store(database_url, stopping, patience_s=5)) as store:
        assert store.put([Message(topic, RAW) for topic in topics]) == []

    assert (55, "08:30", 21.4) in stored(conn, device["id"])
    hashed = [hash_token("stranger-of-a-long-name")]
    (row,) = conn.execute("SELECT topic FROM quarantine WHERE token_hash = %s", hashed).fetchall()
    assert row["topic"].endswith(f"{prefix[-100:]}device/sck/+/readings/raw")


def test_a_batch_changes_its_devices_and_components_in_place_and_in_no_index(
    device: dict[str, Any], conn: DictConnection
) -> None:
    changes = (
        "SELECT sum(n_tup_upd)::integer AS all, sum(n_tup_hot_upd)::integer AS in_place"
        " FROM pg_stat_xact_user_tables WHERE relname IN ('devices', 'components')"
    )
    now = datetime.now(UTC)
    with conn.transaction(force_rollback=True):
        (before,) = conn.execute(changes).fetchall()
        (new,) = conn.execute(  # on a page with room
            "INSERT INTO devices (owner_id, name) SELECT owner_id, 'new' FROM devices WHERE id = %s RETURNING id",
            [device["id"]],
        ).fetchall()
        receive(conn, new["id"], s55=[(now, 21.4)], s56=[(now, 48.0)])
        (after,) = conn.execute(changes).fetchall()

    assert after["all"] - before["all"] == after["in_place"] - before["in_place"] == 3


@pytest.mark.usefixtures("ingestor")
def test_the_message_of_a_stranger_is_kept_without_its_token(broker: RunningBroker, conn: DictConnection) -> None:
    publish(broker, "stranger", "readings/raw", RAW)

    def rows() -> list[dict[str, Any]]:
        return conn.execute("SELECT * FROM quarantine WHERE token_hash = %s", [hash_token("stranger")]).fetchall()

    wait_for(rows)
    (row,) = rows()
    assert (row["device_id"], row["topic"], row["reason"]) == (None, "device/sck/+/readings/raw", "unknown_token")
    assert bytes(row["payload"]) == RAW


@pytest.mark.usefixtures("ingestor")
def test_what_a_kit_says_of_itself_is_shown_to_its_owner_alone(
    device: dict[str, Any], user: Caller, anybody: Caller, broker: RunningBroker
) -> None:
    info = {"time": "2026-11-22T18:30:05Z", "hw_ver": "2.3", "mac": "5E:CF:7F:D1:75:78", "sam_ver": "0.9.11"}
    publish(broker, device["device_token"], "hello", f"{device['device_token']}:Hello".encode())
    publish(broker, device["device_token"], "info", json.dumps(info).encode())

    def hardware(caller: Caller) -> dict[str, Any]:
        hardware: dict[str, Any] = caller.get(f"/v0/devices/{device['id']}").json["hardware"]
        return hardware

    wait_for(lambda: hardware(user)["last_status_message"] == info)
    assert hardware(anybody)["last_status_message"] == "[FILTERED]"
    assert (hardware(anybody)["version"], hardware(anybody)["slug"]) == ("2.3", "sck:2,3")


@pytest.mark.usefixtures("ingestor")
def test_a_factory_report_is_kept(broker: RunningBroker, conn: DictConnection) -> None:
    report = (
        b'{"time":"2026-11-22T18:30:05Z","id":"6c4c1af4","mac":"5E:CF:7F:D1:75:78","errors":0,"tests":[{"0":4.11}]}'
    )
    publish(broker, "factory", "", report, topic="device/inventory")

    wait_for(
        lambda: conn.execute("SELECT FROM device_inventory WHERE report = %s::jsonb", [report.decode()]).fetchall()
    )


@pytest.mark.usefixtures("ingestor")
def test_a_batch_is_logged_with_what_became_of_it(
    device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    publish(broker, device["device_token"], "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4,9999:1}")
    wait_for(lambda: stored(conn, device["id"]))

    def batches() -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(ingestor.last_lines) if '"event":"batch"' in line]

    expected = {"received": 2, "stored": 1, "duplicate": 0, "quarantined": 1}
    wait_for(lambda: any(expected.items() <= batch.items() for batch in batches()))
    assert all(batch["received"] == batch["stored"] + batch["duplicate"] + batch["quarantined"] for batch in batches())


def test_an_operator_reads_a_line_a_minute_that_says_what_has_been_written(
    device: dict[str, Any], broker: RunningBroker, database_url: str, conn: DictConnection
) -> None:
    ingestor = RunningIngestor(database_url, broker.platform_url, LOG_LEVEL="INFO")
    ingestor.start()
    ingestor.wait_until_ready()
    for minute in range(30, 35):
        publish(broker, device["device_token"], "readings/raw", RAW.replace(b"08:30", b"08:%d" % minute))
        wait_for(lambda minute=minute: len(stored(conn, device["id"])) == 3 * (minute - 29))  # type: ignore[misc]
    ingestor.stop()

    events = [json.loads(line) for line in ingestor.last_lines]
    written = [event for event in events if event["event"] == "written"]
    assert sum(event["batches"] for event in written) == 5
    assert sum(event["messages"] for event in written) == 5
    assert sum(event["stored"] for event in written) == 15
    assert len(written) < 5
    assert "batch" not in [event["event"] for event in events]


def test_an_ingestor_without_its_variables_says_which(database_url: str) -> None:
    ingestor = RunningIngestor(database_url, "http://nowhere")
    ingestor.start()
    wait_for(lambda: ingestor.exit_code is not None)

    assert "MQTT_URL=http://nowhere: expected mqtt://" in ingestor.last_words()
    assert ingestor.exit_code != -signal.SIGKILL
