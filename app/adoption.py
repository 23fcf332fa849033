"""Let what a device has sent while nobody knew its token go the way of all other messages."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ingestor.intake import Message, read_early, read_messages, refused
from ingestor.known import Known
from ingestor.writer import Writer
from sql import DictConnection, is_refusal, queries

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
        messages = [read_early(row["topic"].replace("/sck/+/", f"/sck/{name}/"), bytes(row["payload"])) for row in rows]
        _store(conn, messages, device_id, known)
    return len(rows)


def _store(conn: DictConnection, messages: Sequence[Message], device_id: int, known: Known) -> None:
    writer = Writer(known, by_copy=False)
    try:
        with conn.transaction():
            writer.write(conn, read_messages(conn, messages, known, datetime.now(UTC)))
    except Exception as error:
        if not is_refusal(error):
            raise
        log.exception("refused", extra={"messages": len(messages), "device_id": device_id})
        if len(messages) > 1:
            half = len(messages) // 2
            for part in (messages[:half], messages[half:]):
                _store(conn, part, device_id, known)
            return
        writer.write(conn, refused(messages[0], device_id, error))
