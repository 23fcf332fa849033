"""Devices that send as fast as a broker takes it: readings of 12 sensors, encoded before, MQTT 3.1.1 at QoS 1."""

import json
import selectors
import socket
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

SENSORS = (10, 14, 53, 55, 56, 58, 87, 88, 89, 112, 113, 220)


def readings(messages: int, devices: int) -> tuple[list[datetime], np.ndarray[Any, Any]]:
    """One reading a minute and device, the last of them now."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    last = (messages - 1) // devices
    times = [now - timedelta(minutes=last - number // devices) for number in range(messages)]
    return times, np.round(np.random.default_rng(6).uniform(0, 100, (messages, len(SENSORS))), 2)


def json_payload(when: datetime, values: np.ndarray[Any, Any]) -> bytes:
    sensors = [{"id": sensor, "value": value} for sensor, value in zip(SENSORS, values.tolist(), strict=True)]
    return json.dumps({"data": [{"recorded_at": f"{when:%Y-%m-%dT%H:%M:%SZ}", "sensors": sensors}]}).encode()


def raw_payload(when: datetime, values: np.ndarray[Any, Any]) -> bytes:
    pairs = ",".join(f"{sensor}:{value:.2f}" for sensor, value in zip(SENSORS, values.tolist(), strict=True))
    return f"{{t:{when:%Y-%m-%dT%H:%M:%SZ},{pairs}}}".encode()


def publish_packet(topic: str, payload: bytes, number: int) -> bytes:
    """MQTT 3.1.1 PUBLISH at QoS 1."""
    body = struct.pack("!H", len(topic)) + topic.encode() + struct.pack("!H", number) + payload
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 127
        length += bytes([digit | 128 if left else digit])
        if not left:
            return b"\x32" + length + body


def connections(port: int, tokens: list[str]) -> list[socket.socket]:
    """Log every device in: MQTT 3.1.1, its token as client id."""
    made = []
    for token in tokens:
        connection = socket.create_connection(("127.0.0.1", port))
        name = struct.pack("!H", len(token)) + token.encode()
        connection.sendall(b"\x10" + bytes([10 + len(name)]) + b"\x00\x04MQTT\x04\x02\x00\x00" + name)
        if connection.recv(4) != b"\x20\x02\x00\x00":
            raise SystemExit("the broker refused a connection")
        made.append(connection)
    return made


def publish(port: int, tokens: list[str], packets: list[list[bytes]]) -> None:
    """Send everything, each token on its own connection, and return when the broker has acknowledged all of it."""
    selector = selectors.DefaultSelector()
    unsent: dict[socket.socket, memoryview] = {}
    messages = sum(map(len, packets))
    for connection, own in zip(connections(port, tokens), packets, strict=True):
        connection.setblocking(False)
        unsent[connection] = memoryview(b"".join(own))
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
    acknowledged = 0
    while acknowledged < 4 * messages:
        ready = selector.select(timeout=30)
        if not ready:
            raise SystemExit(f"the broker stopped at {acknowledged // 4} of {messages} messages")
        for key, events in ready:
            connection = key.fileobj  # type: ignore[assignment]
            if events & selectors.EVENT_READ:
                acknowledged += len(connection.recv(65536))
            if events & selectors.EVENT_WRITE:
                unsent[connection] = unsent[connection][connection.send(unsent[connection][:16384]) :]
                if not unsent[connection]:
                    selector.modify(connection, selectors.EVENT_READ)
    for connection in unsent:
        connection.close()
