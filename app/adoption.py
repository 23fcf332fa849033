"""Let what a device has sent while nobody knew its token go the way of all other messages."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ingestor.intake import Message, read_early, read_messages, refused
from ingestor.known import Known
from ingestor.refusals import put_each
from ingestor.writer import Writer, Written
from sql import DictConnection, queries

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
        writer = Writer(known, by_copy=False)

        def write(some: Sequence[Message]) -> Written:
            with conn.transaction():
                return writer.write(conn, read_messages(conn, some, known, datetime.now(UTC)))

        put_each(messages, write, lambda message, error: writer.write(conn, refused(message, device_id, error)))
    return len(rows)
