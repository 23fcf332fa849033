"""Read those MQTT packets, 3.1.1 and 5, out of a connection's bytes that show how a device behaves. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

_CONNECT, _CONNACK, _PUBLISH, _SUBSCRIBE = 1, 2, 3, 8
LARGEST = 1024 * 1024  # of a packet that is looked into; what the broker takes


class MalformedError(ValueError):
    """This is no MQTT."""


class Connect(NamedTuple):
    level: int  # 4: 3.1.1, 5: 5
    clean: bool
    keepalive_s: int
    client_id: str
    username: str | None
    password: str | None
    will_topic: str | None


class Connack(NamedTuple):
    code: int  # 0: the broker lets the device in


class Publish(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    size: int  # of the whole packet, in bytes


class Subscribe(NamedTuple):
    filters: list[tuple[str, int]]  # with the quality of service asked for


Packet = Connect | Connack | Publish | Subscribe


class Reader:
    """Gathers what one side of a connection sends: the device's, or the broker's, which needs the device's `level`."""

    def __init__(self, *, of_device: bool) -> None:
        self.level = 4
        self._rest = b""
        self._awaits: int | None = _CONNECT if of_device else _CONNACK

    def feed(self, chunk: bytes) -> Iterator[Packet]:
        """Yield the packets that are complete now, others than these four left out. Raises MalformedError."""
        self._rest += chunk
        while (head := _head(self._rest)) is not None:
            start, length = head
            if len(self._rest) < start + length:
                return
            first, body = self._rest[0], _Body(self._rest[start : start + length])
            self._rest = self._rest[start + length :]
            packet = self._read(first >> 4, first & 15, body, start + length)
            if packet is not None:
                yield packet

    def _read(self, kind: int, flags: int, body: "_Body", size: int) -> Packet | None:
        if self._awaits not in (None, kind):
            raise MalformedError(f"the first packet is no {'CONNECT' if self._awaits == _CONNECT else 'CONNACK'}")
        self._awaits = None
        if kind == _CONNECT:
            return self._connect(body)
        if kind == _CONNACK:
            body.take(1)
            return Connack(body.take(1)[0])
        if kind == _PUBLISH:
            qos = flags >> 1 & 3
            topic = body.text()
            if qos:
                body.take(2)
            body.skip_properties(self.level)
            return Publish(topic, body.rest(), qos, bool(flags & 1), size)
        if kind == _SUBSCRIBE:
            body.take(2)
            body.skip_properties(self.level)
            filters = []
            while body:
                topic = body.text()
                filters.append((topic, body.take(1)[0] & 3))
            return Subscribe(filters)
        return None

    def _connect(self, body: "_Body") -> Connect:
        if body.text() != "MQTT":
            raise MalformedError("this CONNECT is neither of MQTT 3.1.1 nor of 5")
        self.level, flags = body.take(1)[0], body.take(1)[0]
        keepalive_s = body.number()
        body.skip_properties(self.level)
        client_id = body.text()
        will_topic = None
        if flags & 4:
            body.skip_properties(self.level)
            will_topic = body.text()
            body.take(body.number())
        username = body.text() if flags & 128 else None
        password = body.text() if flags & 64 else None
        return Connect(self.level, bool(flags & 2), keepalive_s, client_id, username, password, will_topic)


class _Body:
    """The bytes of one packet, taken from the front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._content)

    def take(self, length: int) -> bytes:
        part = self._content[self._at : self._at + length]
        if len(part) < length:
            raise MalformedError("a packet ends too early")
        self._at += length
        return part

    def rest(self) -> bytes:
        return self.take(len(self._content) - self._at)

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def text(self) -> str:
        return self.take(self.number()).decode("utf-8", "replace")

    def skip_properties(self, level: int) -> None:
        if level == 5:
            head = _length(self._content, self._at)
            if head is None:
                raise MalformedError("a packet ends too early")
            self._at = head[0]
            self.take(head[1])


def _head(content: bytes) -> tuple[int, int] | None:
    """Return where the body of the first packet begins, and its length; None where that has not come yet."""
    head = _length(content, 1)
    if head is not None and head[1] > LARGEST:
        raise MalformedError(f"a packet of {head[1]:,} bytes: the broker cuts off whoever sends more than {LARGEST:,}")
    return head


def _length(content: bytes, at: int) -> tuple[int, int] | None:
    """Return where a number of MQTT's variable length ends, and the number."""
    length = 0
    for place in range(4):
        if at + place >= len(content):
            return None
        byte = content[at + place]
        length |= (byte & 127) << 7 * place
        if byte < 128:
            return at + place + 1, length
    raise MalformedError("a packet's length is no length")
