"""Let what a device has sent while nobody knew its token go the way of all other messages."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ingestor.intake import Message, read_early, read_messages, refused
from ingestor.known import Known
from ingestor.refusals import put_each
from ingestor.writer import Writer, Written
from sql import DictConnection, queries

_MOST_MESSAGES = 2000  # at a time


def adopt(conn: DictConnection, device_id: int, token_hash: bytes, since: datetime) -> int:
    """Store what came under a token from `since` on, and return how many messages that were.

    What cannot be stored goes back into quarantine, now as the device's; so does a message that the database refuses,
    and the others are stored.
    """
    known, name = Known(), token_hash.hex()  # the token itself is not known here, and need not be
    known.remember(name, device_id)
    writer = Writer(known, by_copy=False)

    def write(messages: Sequence[Message]) -> Written:
        with conn.transaction():
            return writer.write(conn, read_messages(conn, messages, known, datetime.now(UTC)))

    def put_aside(message: Message, error: Exception) -> Written:
        return writer.write(conn, refused(message, device_id, error))

    adopted = 0
    with conn.transaction():
        while rows := queries.take_quarantine_of_token(conn, token_hash=token_hash, since=since, most=_MOST_MESSAGES):
            topics = [row["topic"].replace("/sck/+/", f"/sck/{name}/") for row in rows]
            messages = [read_early(topic, bytes(row["payload"])) for topic, row in zip(topics, rows, strict=True)]
            put_each(messages, write, put_aside)
            adopted += len(rows)
    return adopted
