"""Devices that publish by a seeded plan, and the ledger of what they sent: everything the faults are measured by."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from caller import Caller
from conftest import RunningBroker
from paho.mqtt.enums import CallbackAPIVersion
from waiting import wait_for

from sql import DictConnection

SENSORS = (10, 53, 55, 56)
START = datetime(2026, 1, 15, tzinfo=UTC)


class Device(NamedTuple):
    id: int
    token: str


class Key(NamedTuple):
    device_id: int
    sensor_id: int
    time: datetime


class Fleet:
    """Devices with a connection each, which publish at QoS 1 and reconnect by themselves.

    `sent` is what has been handed to a client, `confirmed` that of it which the broker has acknowledged.
    """

    def __init__(self, broker: RunningBroker, devices: list[Device], seed: int = 6) -> None:
        self.devices = devices
        self.sent: dict[Key, float] = {}
        self._random = random.Random(seed)
        self._minutes = dict.fromkeys(devices, 0)
        self._keys: dict[tuple[Device, int], list[Key]] = {}  # by device and packet identifier
        self._confirmed: set[tuple[Device, int]] = set()
        self._clients = {device: self._connect(broker, device) for device in devices}

    def _connect(self, broker: RunningBroker, device: Device) -> mqtt.Client:
        # A session that stays: what is not acknowledged is sent again after a reconnect, as by a careful device.
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device.token, clean_session=False)
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.on_publish = lambda _client, _data, number, *_: self._confirmed.add((device, number))
        host, port = broker.kit_url.removeprefix("mqtt://").split(":")
        client.connect_async(host, int(port))
        client.loop_start()
        return client

    def next_reading(self) -> tuple[Device, bytes, dict[Key, float]]:
        """Return a message that no device has sent before."""
        device = self._random.choice(self.devices)
        when = START + timedelta(minutes=self._minutes[device])
        self._minutes[device] += 1
        values = {sensor: round(self._random.uniform(-50, 100), 2) for sensor in SENSORS}
        pairs = "".join(f",{sensor}:{value}" for sensor, value in values.items())
        payload = f"{{t:{when:%Y-%m-%dT%H:%M:%SZ}{pairs}}}".encode()
        return device, payload, {Key(device.id, sensor, when): value for sensor, value in values.items()}

    def publish(self, messages: int = 1) -> None:
        for _ in range(messages):
            device, payload, expected = self.next_reading()
            self.sent |= expected
            self._keys[self.publish_raw(device, payload)] = list(expected)

    def publish_raw(self, device: Device, payload: bytes, kind: str = "readings/raw") -> tuple[Device, int]:
        info = self._clients[device].publish(f"device/sck/{device.token}/{kind}", payload, qos=1)
        self._keys[device, info.mid] = []
        return device, info.mid

    @contextmanager
    def publishing(self, each_s: float = 0.002) -> Iterator[None]:
        """Publish all the while."""
        done = Event()

        def work() -> None:
            while not done.wait(each_s):
                self.publish()

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    @property
    def confirmed(self) -> set[Key]:
        return {key for message in self._confirmed for key in self._keys[message]}

    def settle(self, seconds: float = 30) -> None:
        """Wait until the broker has acknowledged everything."""
        wait_for(lambda: len(self._confirmed) == len(self._keys), seconds)

    def close(self) -> None:
        for client in self._clients.values():
            client.disconnect()
            client.loop_stop()
        self._clients.clear()  # so that each ends now and closes its sockets, not in whatever order the collector takes

    def stored(self, conn: DictConnection) -> dict[Key, float]:
        """Return what is in the table, which holds a key at most once."""
        rows = conn.execute(
            "SELECT device_id, sensor_id, time, value FROM datapoints WHERE device_id = ANY(%s)",
            [[device.id for device in self.devices]],
        ).fetchall()
        stored = {Key(row["device_id"], row["sensor_id"], row["time"]): row["value"] for row in rows}
        assert len(stored) == len(rows), "a key is there twice"
        return stored

    def quarantined(self, conn: DictConnection) -> list[dict[str, Any]]:
        return conn.execute(
            "SELECT reason, payload FROM quarantine WHERE device_id = ANY(%s) ORDER BY id",
            [[device.id for device in self.devices]],
        ).fetchall()

    def check(self, conn: DictConnection, seconds: float = 60) -> None:
        """The ledger: everything sent is stored, with its value, and nothing else; once it is, it stays so."""
        self.settle()
        wait_for(lambda: len(self.stored(conn)) >= len(self.sent), seconds)
        time.sleep(0.3)  # for what would come twice
        assert self.stored(conn) == self.sent


def make_fleet(broker: RunningBroker, owner: Caller, devices: int = 5) -> Fleet:
    registered = [owner.register_device() for _ in range(devices)]
    return Fleet(broker, [Device(answer["id"], answer["device_token"]) for answer in registered])
