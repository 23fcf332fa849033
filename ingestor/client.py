"""paho's client, made to read and to acknowledge many messages at a time.

As it is, it asks the kernel four times and waits in select() for every packet, makes a dozen objects of it, and wakes
its thread for every acknowledgement: most of the ingestor's work under load. So messages are found here, a hundred in
one go; everything else that a broker says, and what lies in two chunks, stays paho's own business.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from ingestor.packets import Published, read_published

_CHUNK = 65536
_GOODBYE_S = 1.0
_PUBACK = 0x40


class Client(mqtt.Client):
    """A client that counts its connections: a packet identifier means nothing on another one than its own."""

    on_published: Callable[[list[Published]], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection = 0
        self.on_message = self._on_single_message
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
        """Read what the kernel has and deliver every message of it."""
        while True:
            code = super().loop_read(max_packets)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not isinstance(self._sock, BufferedSocket):
                return code
            # paho is between two packets now, or has used the chunk up for one that goes on in the next.
            if published := self._sock.take_published():
                with self._msgtime_mutex:
                    self._last_bytes_received = time.monotonic()
                self.on_published(published)
            if not self._sock.pending():
                return code

    def _on_single_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self.on_published([Published(message._topic, bytes(message.payload), message.mid)])

    def _create_socket(self) -> "BufferedSocket":
        return BufferedSocket(super()._create_socket())


class BufferedSocket:
    """A socket that reads ahead; `pending`, which paho knows from TLS sockets, tells it that there is more."""

    def __init__(self, connected: Any) -> None:
        self._socket = connected
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

    def take_published(self) -> list[Published]:
        """Return the messages that what has been read goes on with."""
        published, self._position = read_published(self._chunk, self._position)
        return published

    def close(self) -> None:
        """Hear the broker out: were its last messages left unread, the kernel would reset the connection.

        A broker that writes to such a one no longer reads the acknowledgements that came before, and sends again.
        """
        deadline = time.monotonic() + _GOODBYE_S
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_GOODBYE_S)
            while self._socket.recv(_CHUNK) and time.monotonic() < deadline:
                pass
        self._socket.close()

    def pending(self) -> int:
        own = self._socket.pending() if hasattr(self._socket, "pending") else 0
        return len(self._chunk) - self._position + int(own)
