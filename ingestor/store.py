"""Put messages into the database for good: wait while it is away, go round a message that it refuses."""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import psycopg

from ingestor import metrics
from ingestor.batch import Batch
from ingestor.deadline import deadline
from ingestor.intake import Message, read_messages, read_refused
from ingestor.known import Known
from ingestor.receipts import receipt_message
from ingestor.refusals import put_each
from ingestor.stopping import Stopping
from ingestor.writer import Ledger, Writer
from sql import AWAY, BEHIND, DictConnection, connect, queries

log = logging.getLogger(__name__)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0  # between two tries to reach the database
_TELL_EVERY_S = 60.0

_UNUSABLE = (*AWAY, *BEHIND)  # now; a message is not to blame

Receipts = list[tuple[str, bytes]]  # topic, payload


class Store:
    """One connection to the database, made again as often as needed.

    `patience_s` is how long a batch may take before the database counts as gone: one that hangs, be it frozen or cut
    off by a network that says nothing, must not hold the batch for ever. `meanwhile` is called when it is the
    database's turn to work.
    """

    def __init__(
        self, database_url: str, stopping: Stopping, patience_s: float, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        self._database_url = database_url
        self._stopping = stopping
        self._patience_s = patience_s
        self._connection: DictConnection | None = None
        self._known = Known()
        self._writer = Writer(self._known, meanwhile=meanwhile)
        self.away_since: float | None = None  # on the monotonic clock
        self._told_at = float("-inf")
        self._batches = self._messages = 0  # since then
        self._ledger = Ledger()

    def put(self, messages: Sequence[Message]) -> Receipts | None:
        """Return the receipts asked for once every message is committed, or None when told to stop before."""
        wait_s = _FIRST_WAIT_S
        while True:
            tried_at = time.monotonic()
            try:
                receipts = self._put(messages)
                self.away_since = None
                return receipts
            except psycopg.errors.DeadlockDetected as error:  # the other one has what it waited for
                log.warning("deadlock", extra={"error": str(error).strip()})
            except _UNUSABLE as error:  # away, restarting, full, a standby by now, or still to be migrated
                hung = time.monotonic() - tried_at >= self._patience_s
                self.away_since = self.away_since or time.monotonic()
                log.warning("database away", extra={"error": str(error).strip(), "next_try_s": wait_s})
                self.close()
                if self._stopping.wait(wait_s):
                    return None
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                if hung and len(messages) > 1:
                    return self._put_in_halves(messages)

    def _put_in_halves(self, messages: Sequence[Message]) -> Receipts | None:
        """Put what took too long: the database hung, or it is too slow for so much at once."""
        half = len(messages) // 2
        receipts: Receipts = []
        for part in (messages[:half], messages[half:]):
            told = self.put(part)
            if told is None:
                return None
            receipts += told
        return receipts

    def note_receiver(self, name: str) -> None:
        """Say that this ingestor can receive; while the database is away it cannot."""
        try:
            conn = self._connected()
            with self._patience(conn):
                queries.note_receiver(conn, name=name)
        except _UNUSABLE:
            self.close()

    def forget_receiver(self, name: str) -> None:
        """Say that nobody need wait for this ingestor any more."""
        with suppress(*_UNUSABLE):
            conn = self._connected()
            with self._patience(conn):
                queries.delete_receiver(conn, name=name)

    def tell(self, *, everything: bool = False) -> None:
        """Log once a minute what has been written since, if anything has; `everything`: now."""
        if self._batches and (everything or time.monotonic() - self._told_at >= _TELL_EVERY_S):
            extra = {"batches": self._batches, "messages": self._messages, **asdict(self._ledger)}
            log.info("written", extra=extra)
            self._told_at = time.monotonic()
            self._batches = self._messages = 0
            self._ledger = Ledger()

    def close(self) -> None:
        """Leave the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> DictConnection:
        if self._connection is None:
            self._connection = connect(self._database_url, patience_s=self._patience_s)
        return self._connection

    def _patience(self, conn: DictConnection) -> AbstractContextManager[None]:
        """Break the connection when the block takes too long: what waits for it then gets an OperationalError."""
        return deadline(self._patience_s, partial(_break, conn))

    def _put(self, messages: Sequence[Message]) -> Receipts:
        conn = self._connected()
        told = put_each(messages, partial(self._write, conn), partial(self._put_aside, conn))
        return [receipt for part in told for receipt in part]

    def _write(self, conn: DictConnection, messages: Sequence[Message]) -> Receipts:
        return self._write_batch(conn, len(messages), partial(read_messages, conn, messages, self._known))

    def _put_aside(self, conn: DictConnection, message: Message, error: Exception) -> Receipts:
        return self._write_batch(conn, 1, partial(read_refused, conn, message, error, self._known))

    def _write_batch(self, conn: DictConnection, messages: int, read: Callable[[datetime], Batch]) -> Receipts:
        started = time.monotonic()
        with self._patience(conn):
            batch = read(datetime.now(UTC))
            written = self._writer.write(conn, batch)
        seconds = round(time.monotonic() - started, 4)
        metrics.count(written.ledger, messages, seconds, max(batch.times, default=None))
        log.debug("batch", extra={"messages": messages, **asdict(written.ledger), "seconds": seconds})
        self._batches += 1
        self._messages += messages
        self._ledger += written.ledger
        return [receipt_message(batch, written, asked) for asked in batch.asked]


def _break(conn: DictConnection) -> None:
    log.warning("the database has not answered in time: leaving it")
    with suppress(OSError, psycopg.Error):
        borrowed = socket.socket(fileno=conn.fileno())
        try:
            borrowed.shutdown(socket.SHUT_RDWR)
        finally:
            borrowed.detach()
