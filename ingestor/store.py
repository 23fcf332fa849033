"""Put messages into the database for good: wait while it is away, go round a message that it refuses."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Event

import psycopg

from ingestor.batch import Batch
from ingestor.intake import Message, read_messages
from ingestor.payload import Flaw, Reason, parse_topic
from ingestor.writer import write_batch
from sql import DictConnection, connect

log = logging.getLogger(__name__)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0  # between two tries to reach the database


class Store:
    """One connection to the database, made again as often as needed."""

    def __init__(self, database_url: str, stopping: Event) -> None:
        self._database_url = database_url
        self._stopping = stopping
        self._connection: DictConnection | None = None

    def put(self, messages: Sequence[Message]) -> bool:
        """Return True once every message is committed, or False when told to stop while the database is away."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                self._put(messages)
                return True
            except psycopg.OperationalError as error:  # away, restarting, or a deadlock
                log.warning("database away", extra={"error": str(error).strip(), "next_try_s": wait_s})
                self.close()
                if self._stopping.wait(wait_s):
                    return False
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def close(self) -> None:
        """Leave the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _put(self, messages: Sequence[Message]) -> None:
        if self._connection is None:
            self._connection = connect(self._database_url)
        started = time.monotonic()
        try:
            batch = read_messages(self._connection, messages, datetime.now(UTC))
            ledger = write_batch(self._connection, batch)
        except psycopg.OperationalError:
            raise
        except Exception as error:
            # The database refuses something, or the fault is ours: either way the other messages must not wait.
            log.exception("refused", extra={"messages": len(messages)})
            if len(messages) > 1:
                for message in messages:
                    self._put([message])
            else:
                write_batch(self._connection, _refused(messages[0], error))
            return
        seconds = round(time.monotonic() - started, 4)
        log.info("batch", extra={"messages": len(messages), **asdict(ledger), "seconds": seconds})


def _refused(message: Message, error: Exception) -> Batch:
    batch = Batch()
    topic = parse_topic(message.topic)
    flaw = Flaw(message.payload, Reason.REFUSED_BY_DATABASE, f"{type(error).__name__}: {error}")
    batch.keep_aside(None, topic.masked if topic else "", flaw)
    return batch
