"""Turn broker messages into a batch: whose they are, what they say, what must be kept aside."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from ingestor import sensors
from ingestor.batch import Batch
from ingestor.payload import Flaw, Kind, Readings, Reason, Topic, parse_object, parse_readings, parse_topic
from sql import DictConnection, queries


class Message(NamedTuple):
    """What a broker delivered."""

    topic: str
    payload: bytes


def hash_token(token: str) -> bytes:
    """Return the form in which the database knows a device token."""
    return sha256(token.encode()).digest()


def read_messages(conn: DictConnection, messages: Sequence[Message], now: datetime) -> Batch:
    """Read the messages into one batch, in their order, with three look-ups whatever their number.

    `now` is UTC. Never raises for what a message holds.
    """
    batch = Batch()
    topics = [parse_topic(message.topic) for message in messages]
    devices = _devices_of(conn, {topic.token for topic in topics if topic and topic.token})
    readings: list[tuple[int, Topic, Readings]] = []
    for message, topic in zip(messages, topics, strict=True):
        if topic is None:
            # A token may stand anywhere in it: keep the first part alone.
            flaw = Flaw(message.payload, Reason.UNKNOWN_TOPIC, "not a topic that devices publish to")
            batch.keep_aside(None, message.topic.split("/", 1)[0], flaw)
        elif topic.token is None:
            batch.inventory.append(parse_object(message.payload))
        elif (device_id := devices.get(topic.token)) is None:
            # The payload of a hello is the token itself.
            payload = b"" if topic.kind is Kind.HELLO else message.payload
            flaw = Flaw(payload, Reason.UNKNOWN_TOKEN, "no device has this token, or it has expired")
            batch.keep_aside(None, topic.masked, flaw, hash_token(topic.token))
        elif topic.kind is Kind.INFO:
            info = parse_object(message.payload)
            if info is None:
                batch.keep_aside(device_id, topic.masked, Flaw(message.payload, Reason.UNREADABLE, "no JSON object"))
            else:
                batch.hardware_infos[device_id] = info
        elif topic.kind is not Kind.HELLO:
            readings.append((device_id, topic, parse_readings(topic.kind, message.payload)))

    named = sensors.look_up(conn, ((device_id, point) for device_id, _, said in readings for point in said.datapoints))
    for device_id, topic, said in readings:
        batch.add(device_id, topic.masked, said, named, now)
    return batch


def _devices_of(conn: DictConnection, tokens: set[str]) -> dict[str, int]:
    if not tokens:
        return {}
    by_hash = {hash_token(token): token for token in tokens}
    rows = queries.device_ids_of_tokens(conn, hashes=list(by_hash))
    return {by_hash[bytes(row["hash"])]: row["device_id"] for row in rows}
