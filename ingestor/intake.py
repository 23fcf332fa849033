"""Turn broker messages into a batch: whose they are, what they say, what must be kept aside."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ingestor.batch import LATEST_AHEAD, Asked, Batch
from ingestor.known import EARLIEST, Known
from ingestor.loose_json import parse_json, parse_object
from ingestor.payload import Flaw, Readings, Reason, parse_each, parse_raw
from ingestor.plain import Plain, parse_plain
from ingestor.reports import ConfigReport, parse_config_report, parse_errors
from ingestor.tokens import hash_token
from ingestor.topics import Kind, Topic, parse_topic
from sql import DictConnection, queries

_MICROSECOND = timedelta(microseconds=1)
_NO_INFO = (
    "no JSON object, or one with a NaN, a NUL character, half a surrogate pair, a number beyond 1.8e308, or more than "
    "64 levels"
)


class Message(NamedTuple):
    """What a broker delivered."""

    topic: str
    payload: bytes
    plain: Plain | None = None  # what it says, if somebody has had the time to read it


def read_early(topic: str, payload: bytes) -> Message:
    """Return a message, read as far as that goes without the database: while this is busy with those before it."""
    known = parse_topic(topic)
    return Message(topic, payload, parse_plain(payload) if known and known.kind is Kind.JSON else None)


_Said = tuple[int, Topic, Message]  # by which device, and where; a tuple, for there are thousands


def read_messages(conn: DictConnection, messages: Sequence[Message], known: Known, now: datetime) -> Batch:
    """Read the messages into one batch, in their order, with at most five look-ups whatever their number.

    `now` is UTC. Never raises for what a message holds.
    """
    known.refresh(conn)
    batch = Batch(known.earliest(now))
    topics = [parse_topic(message.topic) for message in messages]
    devices = known.devices_of(conn, {topic.token for topic in topics if topic and topic.token}, now)
    batch.used_tokens = known.uses_to_note(devices, now)
    said: list[_Said] = []
    configured: list[_Said] = []
    for message, topic in zip(messages, topics, strict=True):
        if topic is None:
            # A token may stand anywhere in it: keep the first part alone.
            flaw = Flaw(message.payload, Reason.UNKNOWN_TOPIC, "not a topic that devices publish to")
            batch.keep_aside(None, message.topic.split("/", 1)[0], flaw)
        elif topic.token is None:
            report = parse_json(message.payload)
            batch.inventory.append(report if isinstance(report, dict) else None)
        elif (device_id := devices.get(topic.token)) is None:
            token_hash = hash_token(topic.token)
            if not known.strangers.admits(token_hash, now):
                batch.rejected += 1
                continue
            # The payload of a hello is the token itself.
            payload = b"" if topic.kind is Kind.HELLO else message.payload
            flaw = Flaw(payload, Reason.UNKNOWN_TOKEN, "no device has this token, or it has expired")
            batch.keep_aside(None, topic.masked, flaw, token_hash)
        elif message.plain is not None:
            said.append((device_id, topic, message))
        elif topic.kind is Kind.INFO:
            info = parse_object(message.payload)
            if info is None:
                batch.keep_aside(device_id, topic.masked, Flaw(message.payload, Reason.UNREADABLE, _NO_INFO))
            else:
                batch.hardware_infos[device_id] = info
        elif topic.kind is Kind.ERRORS:
            errors, flaws = parse_errors(message.payload, batch.earliest, now, now + LATEST_AHEAD)
            batch.errors += [(device_id, error) for error in errors]
            for flaw in flaws:
                batch.keep_aside(device_id, topic.masked, flaw)
        elif topic.kind is Kind.CONFIG_REPORT:
            configured.append((device_id, topic, message))
        elif topic.kind is not Kind.HELLO:
            said.append((device_id, topic, message))
    if configured:
        _read_config_reports(conn, configured, now, batch)
    _read(conn, said, known, now, batch)
    return batch


def read_refused(conn: DictConnection, message: Message, error: Exception, known: Known, now: datetime) -> Batch:
    """Read a message that the database would not take into a batch that keeps it aside, whosever it is."""
    topic = parse_topic(message.topic)
    token = topic.token if topic else None
    devices = known.devices_of(conn, {token}, now) if token else {}
    return refused(message, devices.get(token or ""), error)


def refused(message: Message, device_id: int | None, error: Exception) -> Batch:
    """Return a batch that keeps one message aside, which the database would not take.

    Who asked for a receipt gets one where the message has been read already: to read it may be what fails.
    """
    batch = Batch(EARLIEST)
    topic = parse_topic(message.topic)
    flaw = Flaw(message.payload, Reason.REFUSED_BY_DATABASE, f"{type(error).__name__}: {error}")
    batch.keep_aside(device_id, topic.masked if topic else "", flaw)
    if topic and device_id is not None and message.plain and message.plain.receipt_id is not None:
        batch.asked.append(Asked(topic.receipts, message.plain.receipt_id, slice(0, 0), slice(0, 1)))
    return batch


def read_json(conn: DictConnection, device_id: int, source: str, payload: bytes, known: Known, now: datetime) -> Batch:
    """Read a payload of the JSON topic that came through another door; `source` is what quarantine calls it."""
    known.refresh(conn)
    batch = Batch(known.earliest(now))
    message = Message(source, payload, parse_plain(payload))
    _read(conn, [(device_id, Topic(Kind.JSON, None, source), message)], known, now, batch)
    return batch


def read_parts(
    conn: DictConnection, device_id: int, source: str, parts: Sequence[Readings], known: Known, now: datetime
) -> Batch:
    """Read what another format than JSON says, one part after the other; a part's place is its position."""
    known.refresh(conn)
    batch = Batch(known.earliest(now))
    known.sensors.look_up(conn, set(), ((device_id, point) for part in parts for point in part.datapoints))
    for position, part in enumerate(parts):
        batch.add(device_id, source, part, known.sensors, now + LATEST_AHEAD, position)
    return batch


def _read_config_reports(conn: DictConnection, said: list[_Said], now: datetime, batch: Batch) -> None:
    device_ids = list({device_id for device_id, _, _ in said})
    versions = {
        row["device_id"]: row["version"] for row in queries.config_versions_of_devices(conn, device_ids=device_ids)
    }
    for number, (device_id, topic, message) in enumerate(said):
        # what was said later in a batch was said later
        report: ConfigReport | Flaw = parse_config_report(message.payload, now + number * _MICROSECOND)
        if isinstance(report, ConfigReport):
            newest = versions.get(device_id, 0)
            if report.version <= newest:
                batch.config_reports[device_id, report.version] = report
                continue
            detail = f"the device was never told version {report.version}; the newest is {newest}"
            report = Flaw(message.payload, Reason.UNKNOWN_VERSION, detail)
        batch.keep_aside(device_id, topic.masked, report)


def _read(conn: DictConnection, said: list[_Said], known: Known, now: datetime, batch: Batch) -> None:
    plain_ids: set[int] = set()
    parts: dict[int, tuple[list[Readings], str | int | None]] = {}
    for number, (_, topic, message) in enumerate(said):
        if message.plain is not None:
            for reading in message.plain.readings:
                plain_ids.update(reading.sensor_ids)
        else:
            parts[number] = _parse(topic, message)
    named = (
        (said[number][0], point)
        for number, (each, _) in parts.items()
        for readings in each
        for point in readings.datapoints
    )
    known.sensors.look_up(conn, plain_ids, named)
    latest = now + LATEST_AHEAD
    for number, (device_id, topic, message) in enumerate(said):
        first_row, first_flaw = len(batch.raws), len(batch.quarantined)
        plain = message.plain
        if plain is not None and batch.add_plain(device_id, plain.readings, known.sensors, latest):
            receipt_id = plain.receipt_id
        else:
            each, receipt_id = parts.get(number) or _parse(topic, message)
            for position, readings in enumerate(each):
                batch.add(device_id, topic.masked, readings, known.sensors, latest, position)
        if receipt_id is not None:
            rows, flaws = slice(first_row, len(batch.raws)), slice(first_flaw, len(batch.quarantined))
            batch.asked.append(Asked(topic.receipts, receipt_id, rows, flaws))


def _parse(topic: Topic, message: Message) -> tuple[list[Readings], str | int | None]:
    if topic.kind is Kind.RAW:
        return [parse_raw(message.payload)], None
    return parse_each(message.payload)
