"""What a topic that devices publish to says: of which device, and what for. Pure."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class Kind(StrEnum):
    """What a topic is for: its part after the token."""

    JSON = "readings"
    RAW = "readings/raw"
    INFO = "info"
    HELLO = "hello"
    ERRORS = "errors"
    CONFIG_REPORT = "config/reported"
    INVENTORY = "inventory"


class Topic(NamedTuple):
    kind: Kind
    token: str | None  # None for the inventory, which belongs to no device yet
    masked: str  # the topic with `+` in the token's place: what may be kept and logged

    @property
    def receipts(self) -> str:
        """Where the device listens for what became of its messages."""
        return f"{self.masked.partition('+')[0]}{self.token}/receipts"


# A bridge puts its own name before ours: `bridge/device/sck/…`.
_TOPIC = re.compile(
    r"(?:(?!device/sck/)[^/]+/)*device/(?:inventory|sck/([^/]+)/(readings/raw|readings|info|hello|errors|config/reported))"
)


@lru_cache(maxsize=50_000)
def parse_topic(topic: str) -> Topic | None:
    """Return what the topic says, or None for a topic that is not ours. The token is found by its position alone."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        return None
    if match[2] is None:
        return Topic(Kind.INVENTORY, None, topic)
    start, end = match.span(1)
    return Topic(Kind(match[2]), match[1], f"{topic[:start]}+{topic[end:]}")
