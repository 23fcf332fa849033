"""What a maker is told of a device: rules over packets, and the program between a device and the real broker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from caller import Caller
from conftest import RunningBroker
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from kits import simulated
from mqtt_device import MqttDevice, known
from serving import served_here
from waiting import wait_for

from scripts.firmware_rules import Checker
from scripts.mqtt_packets import Connect, MalformedError, Publish, Reader, Subscribe

NOW = datetime(2026, 6, 21, 12, 0, tzinfo=UTC)
TOKEN = "t" * 32
OWN = f"device/sck/{TOKEN}"
CATALOGUE = {55: "t", 56: "h"}
CONNECT = Connect(4, True, 60, TOKEN, TOKEN, TOKEN, None)
SUBSCRIBE = Subscribe([(f"{OWN}/config", 1), (f"{OWN}/receipts", 1)])


def raw(time: datetime, values: str = "55:21.4", **fields: Any) -> Publish:
    payload = f"{{t:{time:%Y-%m-%dT%H:%M:%SZ},{values}}}".encode()
    return publish(f"{OWN}/readings/raw", payload, **fields)


def publish(topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> Publish:
    return Publish(topic, payload, qos, retain, len(payload))


def found(*packets: object, connect: Connect = CONNECT, subscribe: Subscribe = SUBSCRIBE, **about: Any) -> list[str]:
    """What is found in a device that sends these, one a minute, and otherwise behaves."""
    checker = Checker(TOKEN, CATALOGUE, **about)
    checker.device_sent(connect, NOW)
    checker.device_sent(subscribe, NOW)
    for number, packet in enumerate(packets or [raw(NOW)]):
        checker.device_sent(packet, NOW + number * timedelta(minutes=1))
    return [finding.what for finding, _ in checker.findings()]


def test_a_device_that_behaves_is_left_alone() -> None:
    minutes = [NOW + number * timedelta(minutes=1) for number in range(5)]

    assert found(*map(raw, minutes), interval_s=60) == []


@pytest.mark.parametrize(
    ("connect", "what"),
    [
        (CONNECT._replace(username="else"), "the user name is not the token"),
        (CONNECT._replace(password="else"), "the password is not the token"),
        (CONNECT._replace(username=None, password=None, client_id="kit"), "the client id is not the token"),
        (CONNECT._replace(username=None, password=None), "no user name"),
        (CONNECT._replace(keepalive_s=0), "no keep-alive"),
        (CONNECT._replace(clean=False), "no clean session"),
        (CONNECT._replace(will_topic="device/sck/other/info"), "a will on device/sck/other/info"),
    ],
)
def test_how_it_connects_is_looked_at(connect: Connect, what: str) -> None:
    assert what in found(connect=connect)


@pytest.mark.parametrize(
    ("packet", "what"),
    [
        (publish("device/sck/other/readings", b"{}"), "device/sck/other/readings is no topic of this device"),
        (publish(f"{OWN}/reading", b"{}"), "device/sck/TOKEN/reading is no topic of this device"),
        (publish(f"{OWN}/readings/raw", b"t:1,55:2"), "readings/raw: expected {t:TIME,ID:VALUE,…}"),
        (
            publish(f"{OWN}/readings", b'{"data":1}'),
            'readings: expected {"data": [{"recorded_at": …, "sensors": […]}]}',
        ),
        (publish(f"{OWN}/readings/raw", b"{55:2}"), "readings/raw: the reading has no recorded_at"),
        (publish(f"{OWN}/info", b"[]"), "info is no JSON object"),
        (publish(f"{OWN}/config/reported", b'{"version":1}'), "config/reported cannot be read"),
        (raw(NOW, "55:nan"), "readings/raw: 'nan' is no finite number"),
        (raw(datetime(1970, 1, 1, tzinfo=UTC)), "a reading of 1970-01-01"),
        (raw(NOW + timedelta(hours=2)), "the clock is 7,200 s fast"),
        (raw(NOW - timedelta(hours=2)), "the newest reading is 7,200 s old when it comes"),
        (raw(NOW, "55:1,9999:1"), "no sensor 9999"),
        (raw(NOW, qos=0), "readings/raw at QoS 0"),
        (raw(NOW, qos=2), "readings/raw at QoS 2"),
        (raw(NOW, retain=True), "device/sck/TOKEN/readings/raw is retained"),
        (
            publish(f"{OWN}/info", b'{"a":"%s"}' % (b"x" * 70_000)),
            "device/sck/TOKEN/info: more than 65,536 bytes a message",
        ),
        (Subscribe([("#", 1)]), "a subscription to #"),
        (Subscribe([(f"{OWN}/config", 0)]), "config at QoS 0"),
    ],
)
def test_what_it_sends_is_looked_at(packet: Publish | Subscribe, what: str) -> None:
    assert what in found(packet)


def test_an_error_without_a_code_is_no_error() -> None:
    (what, *_) = found(publish(f"{OWN}/errors", b'{"message":"help"}'))

    assert what.startswith("errors: expected {time, component, code, message}")


def test_readings_that_were_stored_are_no_wrong_clock() -> None:
    assert found(raw(NOW - timedelta(hours=3)), raw(NOW + timedelta(seconds=55))) == []


def test_a_pace_that_was_not_asked_for_is_named() -> None:
    minutes = [NOW + number * timedelta(minutes=1) for number in range(5)]

    assert found(*map(raw, minutes), interval_s=300) == ["a message every 60.0 s instead of every 300.0 s"]


def test_a_token_does_not_stand_in_what_a_maker_passes_on() -> None:
    checker = Checker(TOKEN, CATALOGUE)
    checker.device_sent(publish(f"{OWN}/elsewhere", b""), NOW)

    assert TOKEN not in str(checker.findings())


def test_a_version_that_it_was_told_and_says_nothing_of_is_named() -> None:
    checker = Checker(TOKEN, CATALOGUE)
    checker.device_sent(CONNECT, NOW)
    checker.device_sent(SUBSCRIBE, NOW)
    checker.broker_sent(publish(f"{OWN}/config", b'{"version":3,"publish_interval":60}'))
    checker.device_sent(raw(NOW), NOW)
    before = [finding.what for finding, _ in checker.findings()]
    checker.device_sent(publish(f"{OWN}/config/reported", b'{"version":3,"error":"no"}'), NOW)

    assert before == ["nothing was said of version 3 of the configuration"]
    assert checker.findings() == []


def test_receipts_that_nobody_reads_are_named() -> None:
    asking = json.dumps({"id": 1, "data": [{"recorded_at": NOW.isoformat(), "sensors": [{"id": 55, "value": 1}]}]})

    assert found(publish(f"{OWN}/readings", asking.encode()), subscribe=Subscribe([(f"{OWN}/config", 1)])) == [
        "receipts are asked for and not read"
    ]


# CONNECT with will and login, SUBSCRIBE, PINGREQ, PUBLISH at QoS 1 retained: as MQTT 3.1.1 and as MQTT 5 write them
_WILL = b"\x00\x01w\x00\x01x"
_LOGIN = b"\x00\x01u\x00\x01p"
_STREAMS = {
    4: b"\x10\x19\x00\x04MQTT\x04\xc6\x00\x3c\x00\x01i" + _WILL + _LOGIN
    + b"\x82\x06\x00\x01\x00\x01a\x01" + b"\xc0\x00" + b"\x33\x08\x00\x01b\x00\x02abc",
    5: b"\x10\x20\x00\x04MQTT\x05\xc6\x00\x3c\x05\x11\x00\x00\x00\x0a\x00\x01i\x00" + _WILL + _LOGIN
    + b"\x82\x07\x00\x01\x00\x00\x01a\x01" + b"\xc0\x00" + b"\x33\x0b\x00\x01b\x00\x02\x02\x01\x01abc",
}  # fmt: skip


@given(level=st.sampled_from([4, 5]), cuts=st.lists(st.integers(1, 40)))
def test_packets_are_found_wherever_the_bytes_are_cut(level: int, cuts: list[int]) -> None:
    stream, reader, packets = _STREAMS[level], Reader(of_device=True), []
    for cut in [*cuts, len(stream)]:
        packets += reader.feed(stream[:cut])
        stream = stream[cut:]

    assert packets == [
        Connect(level, True, 60, "i", "u", "p", "w"),
        Subscribe([("a", 1)]),
        Publish("b", b"abc", 1, True, 10 if level == 4 else 13),
    ]


@pytest.mark.parametrize(
    "stream",
    [b"GET / HTTP/1.1\r\n\r\n" * 20, b"\x10\xff\xff\xff\xff\x01", b"\x10\xff\xff\xff\x7f", b"\x10\x02\x00\x09"],
)
def test_what_is_no_mqtt_is_said_to_be_none(stream: bytes) -> None:
    with pytest.raises(MalformedError):
        list(Reader(of_device=True).feed(stream))


# the program, between a device and the broker


@pytest.fixture(scope="module")
def api_url(app: Flask) -> Iterator[str]:
    with served_here(app) as address:
        yield address


class Checking:
    """The program while it runs, and what it said when it has ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = f"mqtt://{self._first_line().split()[2].rstrip(',')}"
        self.report, self.exit_code = "", 0

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self.report, _ = self._process.communicate(timeout=20)
        self.exit_code = self._process.returncode


@contextmanager
def checking(broker_url: str, token: str, api_url: str) -> Iterator[Checking]:
    broker = broker_url.removeprefix("mqtt://")
    command = [sys.executable, "-m", "scripts.check_firmware", token, "--broker", broker]
    options = ["--listen", "127.0.0.1:0", "--api", api_url]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        try:
            running = Checking(process)
            yield running
            running.end()
        finally:
            process.kill()


@pytest.mark.usefixtures("keeper", "ingestor")
def test_the_simulated_kit_behaves_also_when_it_is_told_what_to_do(
    user: Caller, broker: RunningBroker, api_url: str
) -> None:
    device = user.register_device()
    token, path = known(broker, device["device_token"]), f"/v0/devices/{device['id']}"
    with checking(broker.device_url, token, api_url) as checked, simulated(checked.url, token, as_json=True) as kit:
        wait_for(lambda: kit.receipts["stored"])
        user.put(f"{path}/config", {"publish_interval": 2})
        wait_for(lambda: user.get(f"{path}/config").json["difference"] is None)

    assert checked.report.splitlines()[1:] == ["Nothing to complain about."]
    assert checked.exit_code == 0


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_device_that_does_everything_wrong_is_told_so(
    user: Caller, broker: RunningBroker, api_url: str, protocol: int
) -> None:
    token = known(broker, user.register_device()["device_token"])
    with (
        checking(broker.device_url, token, api_url) as checked,
        MqttDevice(checked.url, token, protocol=protocol) as device,
    ):
        assert device.is_in
        device.publish(f"device/sck/{token}/readings/raw", b"{t:1970-01-01T00:00:05Z,9999:1}", retain=True)
        device.publish(f"device/sck/{'x' * 32}/readings", b"{}")
        device.subscribe("#")

    wrong = {line.removeprefix("WRONG  ") for line in checked.report.splitlines() if line.startswith("WRONG")}
    assert checked.exit_code == 1
    assert wrong >= {
        "device/sck/TOKEN/readings/raw is retained",
        "a reading of 1970-01-01",
        "no sensor 9999",
        f"device/sck/{'x' * 32}/readings is no topic of this device",
        "a subscription to #",
    }


def test_a_token_that_the_broker_does_not_know_is_said_to_be_unknown(broker: RunningBroker, api_url: str) -> None:
    with (
        checking(broker.device_url, "n" * 32, api_url) as checked,
        MqttDevice(checked.url, "n" * 32) as device,
    ):
        assert not device.is_in

    assert "WRONG  the broker refuses the connection" in checked.report
