"""Let what a device has sent while nobody knew its token go the way of all other messages."""

from datetime import UTC, datetime

from ingestor.intake import Message, read_messages
from ingestor.known import Known
from ingestor.writer import Writer
from sql import DictConnection, queries

_MOST_MESSAGES = 2000  # at once; a kit sends one a minute


def adopt(conn: DictConnection, device_id: int, token_hash: bytes, since: datetime) -> int:
    """Store what came under a token from `since` on, and return how many messages that were.

    What cannot be stored goes back into quarantine, now as the device's. All of it or nothing.
    """
    with conn.transaction():
        rows = queries.take_quarantine_of_token(conn, token_hash=token_hash, since=since, most=_MOST_MESSAGES)
        if not rows:
            return 0
        known, name = Known(), token_hash.hex()  # the token itself is not known here, and need not be
        known.remember(name, device_id)
        messages = [Message(row["topic"].replace("/sck/+/", f"/sck/{name}/"), bytes(row["payload"])) for row in rows]
        Writer(known, by_copy=False).write(conn, read_messages(conn, messages, known, datetime.now(UTC)))
    return len(rows)
