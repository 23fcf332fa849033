"""Messages found among the bytes of a broker: each once and in order, wherever the bytes are cut; and the last ones."""

import socket
import struct
from threading import Thread
from typing import Any

import paho.mqtt.client as mqtt
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingestor.client import BufferedSocket, Client
from ingestor.packets import Published, read_published

PING_ANSWER = b"\xd0\x00"
NO_PROPERTIES = b"\0"
messages = st.builds(
    Published,
    st.sampled_from([b"device/sck/aaaaaa/readings", b"device/inventory", "device/sck/ü/hello".encode()]),
    st.binary(max_size=300),
    st.integers(0, 65535),
)


def packet(message: Published, properties: bytes = NO_PROPERTIES) -> bytes:
    number = struct.pack("!H", message.number) if message.number else b""
    body = struct.pack("!H", len(message.topic)) + message.topic + number + properties + message.payload
    size, left = bytearray(), len(body)
    while left > 127:
        size.append(left & 127 | 128)
        left >>= 7
    return bytes([0x32 if message.number else 0x30, *size, left]) + body


def with_content_type(text: str) -> bytes:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = text
    return bytes(properties.pack())


class Wire:
    """A socket that has these chunks to read, one after the other, and then nothing more for now."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def recv(self, _size: int) -> bytes:
        if not self._chunks:
            raise BlockingIOError
        return self._chunks.pop(0)

    def shutdown(self, _how: int) -> None:
        raise OSError("nobody is at the other end")

    def close(self) -> None:
        pass


@given(st.lists(st.tuples(messages, st.text("aü", max_size=200).map(with_content_type))), st.binary(max_size=20))
@example([(Published(b"device/inventory", b"x" * 20_000, 1), with_content_type("a" * 200))] * 2, b"")
def test_whole_messages_are_found_up_to_what_is_none(said: list[tuple[Published, bytes]], before: bytes) -> None:
    data = before + b"".join(packet(*each) for each in said) + PING_ANSWER

    found, end = read_published(data, len(before))

    assert (found, end) == ([message for message, _ in said], len(data) - len(PING_ANSWER))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_messages_are_left_where_they_are(data: bytes) -> None:
    found, end = read_published(data, 0)

    assert sum(len(each.topic) + len(each.payload) for each in found) <= end <= len(data)


@given(st.lists(messages, min_size=1, max_size=8), st.data())
def test_messages_arrive_once_and_in_order_however_the_bytes_are_cut(
    said: list[Published], data: st.DataObject
) -> None:
    whole = b"".join(data.draw(st.sampled_from([b"", PING_ANSWER])) + packet(message) for message in said)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    client: Any = Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, manual_ack=True)
    arrived: list[Published] = []
    client.on_published = arrived.extend
    client._sock = BufferedSocket(Wire(chunks))

    while chunks:
        assert client.loop_read() == mqtt.MQTT_ERR_SUCCESS

    assert arrived == said


def test_who_leaves_hears_a_busy_broker_out_so_that_it_reads_the_last_acknowledgements() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        leaving = BufferedSocket(socket.create_connection(listener.getsockname()))
        broker, _ = listener.accept()
    with broker:
        broker.sendall(packet(Published(b"device/inventory", b"nobody reads it", 1)))
        leaving.send(b"acknowledgements")
        closing = Thread(target=leaving.close)
        closing.start()
        assert broker.recv(100) == b"acknowledgements"
        assert broker.recv(100) == b""
        broker.sendall(packet(Published(b"device/inventory", b"it was on its way", 2)))  # raises if the way is cut
    closing.join()
