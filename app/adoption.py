"""Let what a device has sent while nobody knew its token go the way of all other messages."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ingestor.batch import Batch
from ingestor.intake import Message, read_messages
from ingestor.known import EARLIEST, Known
from ingestor.payload import Flaw, Reason, parse_topic
from ingestor.writer import Writer
from sql import AWAY, BEHIND, DictConnection, queries

log = logging.getLogger(__name__)

_MOST_MESSAGES = 2000  # at once; a kit sends one a minute


def adopt(conn: DictConnection, device_id: int, token_hash: bytes, since: datetime) -> int:
    """Store what came under a token from `since` on, and return how many messages that were.

    What cannot be stored goes back into quarantine, now as the device's; so does a message that the database refuses,
    and the others are stored.
    """
    with conn.transaction():
        rows = queries.take_quarantine_of_token(conn, token_hash=token_hash, since=since, most=_MOST_MESSAGES)
        if not rows:
            return 0
        known, name = Known(), token_hash.hex()  # the token itself is not known here, and need not be
        known.remember(name, device_id)
        messages = [Message(row["topic"].replace("/sck/+/", f"/sck/{name}/"), bytes(row["payload"])) for row in rows]
        _store(conn, messages, device_id, known)
    return len(rows)


def _store(conn: DictConnection, messages: Sequence[Message], device_id: int, known: Known) -> None:
    writer = Writer(known, by_copy=False)
    try:
        with conn.transaction():
            writer.write(conn, read_messages(conn, messages, known, datetime.now(UTC)))
    except (*AWAY, *BEHIND):
        raise
    except Exception as error:
        log.exception("refused", extra={"messages": len(messages), "device_id": device_id})
        if len(messages) > 1:
            half = len(messages) // 2
            for part in (messages[:half], messages[half:]):
                _store(conn, part, device_id, known)
            return
        (message,) = messages
        batch = Batch(EARLIEST)
        flaw = Flaw(message.payload, Reason.REFUSED_BY_DATABASE, f"{type(error).__name__}: {error}")
        topic = parse_topic(message.topic)
        batch.keep_aside(device_id, topic.masked if topic else "", flaw)
        writer.write(conn, batch)
