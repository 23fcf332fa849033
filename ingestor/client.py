"""paho's client, made to read and to acknowledge many messages at a time.

As it is, it asks the kernel four times and waits in select() for every packet, and wakes its thread for every
acknowledgement: half of the ingestor's work under load. What it means by each packet stays its own business.
"""

import struct
from collections.abc import Iterable
from threading import Lock
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

_CHUNK = 65536
_PUBACK = 0x40


class Client(mqtt.Client):
    """A client that counts its connections: a packet identifier means nothing on another one than its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection = 0
        self._acknowledging = Lock()

    def acknowledge(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Acknowledge QoS 1 messages, given as (connection, number); those of a lost connection come again."""
        with self._acknowledging:
            packets = [
                struct.pack("!BBH", _PUBACK, 2, number)
                for connection, number in deliveries
                if connection == self.connection
            ]
            if packets:
                self._packet_queue(_PUBACK, b"".join(packets), 0, 1)

    def reconnect(self) -> MQTTErrorCode:
        """Drop what waits to be sent on the old connection, as paho does, but let no acknowledgement slip in after."""
        with self._acknowledging:
            self.connection += 1
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read what the kernel has and deliver every whole packet of it."""
        code = super().loop_read(max_packets)
        while (
            code == MQTTErrorCode.MQTT_ERR_SUCCESS and isinstance(self._sock, _BufferedSocket) and self._sock.pending()
        ):
            code = super().loop_read(max_packets)
        return code

    def _create_socket(self) -> "_BufferedSocket":
        return _BufferedSocket(super()._create_socket())


class _BufferedSocket:
    """A socket that reads ahead; `pending`, which paho knows from TLS sockets, tells it that there is more."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._chunk = b""
        self._position = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> bytes:
        if self._position == len(self._chunk):
            self._chunk, self._position = self._socket.recv(_CHUNK), 0
        start = self._position
        self._position = min(start + size, len(self._chunk))
        return self._chunk[start : self._position]

    def pending(self) -> int:
        own = self._socket.pending() if hasattr(self._socket, "pending") else 0
        return len(self._chunk) - self._position + int(own)
