"""Find messages among the bytes that a broker sends: MQTT 5.0, sections 1.5.5 (variable byte integer) and 3.3. Pure."""

import struct
from typing import NamedTuple

_PUBLISH, _KIND_AND_HIGH_QOS = 0x30, 0xF4
_QOS_1 = 0x02
_size = struct.Struct("!H")


class Published(NamedTuple):
    """A PUBLISH packet of QoS 0 or 1."""

    topic: bytes
    payload: bytes
    number: int  # the packet identifier by which it is acknowledged; 0 at QoS 0


def read_published(data: bytes, position: int) -> tuple[list[Published], int]:
    """Return the PUBLISH packets of QoS 0 and 1 that `data` goes on with at `position`, and where they end.

    It ends before whatever is another packet, is not whole, or breaks the protocol.
    """
    found: list[Published] = []
    try:
        while data[position] & _KIND_AND_HIGH_QOS == _PUBLISH:
            start, size = _variable(data, position + 1)
            end = start + size
            (topic_size,) = _size.unpack_from(data, start)
            after_topic = here = start + 2 + topic_size
            number = 0
            if data[position] & _QOS_1:
                (number,) = _size.unpack_from(data, here)
                here += 2
            here, properties_size = _variable(data, here)
            here += properties_size  # we ask for none, and offer no aliases of topics
            if not here <= end <= len(data):
                break
            found.append(Published(data[start + 2 : after_topic], data[here:end], number))
            position = end
    except (IndexError, struct.error):
        pass  # it goes on in what has not come yet
    return found, position


def _variable(data: bytes, position: int) -> tuple[int, int]:
    """Return where a variable byte integer ends, and the number."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:  # its highest bit says that more follow
            return position, number
        shift += 7
