"""Apply the .sql files of migrations/ in the order of their names, each once, each whole or not at all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib.resources import files
from threading import Event, Thread

import psycopg

from sql import conninfo

_LOCK_KEY = 0x616C6D616E6163  # "almanac"
# Whoever waits for a table's lock makes all wait who come after it, and whoever has it all the more.
_LONGEST_WAIT_S = 4.0
_LONGEST_STATEMENT_S = 120.0
_LOOK_EVERY_S = 0.5
_BLOCKERS = """
SELECT string_agg(format(
    'process %%s (%%s of %%s, in its transaction for %%s s: %%s); SELECT pg_terminate_backend(%%s) ends it',
    pid, coalesce(nullif(application_name, ''), 'no name'), usename,
    round(extract(EPOCH FROM clock_timestamp() - xact_start)), left(query, 80), pid
), ', ' ORDER BY xact_start)
FROM pg_stat_activity
WHERE pid = ANY(pg_blocking_pids(%s))
"""
_JOURNAL = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says which file and why."""


def available() -> dict[str, str]:
    """Return the text of every migration by file name, in order."""
    return {
        file.name: file.read_text()
        for file in sorted(files("migrations").iterdir(), key=lambda file: file.name)
        if file.name[:4].isdigit() and file.name.endswith(".sql")
    }


def pending(conn: psycopg.Connection, migrations: dict[str, str]) -> list[str]:
    """Return the names not applied yet. Raises MigrationError for an applied file whose text has changed."""
    has_journal = conn.execute("SELECT to_regclass('schema_migrations')").fetchone() != (None,)
    rows = conn.execute("SELECT name, sha256 FROM schema_migrations").fetchall() if has_journal else []
    applied: dict[str, str] = dict(rows)
    for name, text in migrations.items():
        if name in applied and applied[name] != sha256(text.encode()).hexdigest():
            raise MigrationError(
                f"{name} was edited after it was applied to this database; put it back and add a new migration"
            )
    return [name for name in migrations if name not in applied]


def migrate(
    database_url: str,
    migrations: dict[str, str] | None = None,
    lock_timeout_s: float = 60,
    statement_timeout_s: float = _LONGEST_STATEMENT_S,
) -> list[str]:
    """Apply what is pending, by default of migrations/, and return the names.

    Each file runs in a transaction of its own, so a failed one leaves nothing behind. Two processes may start at
    once: the second waits for the first, at most `lock_timeout_s` seconds. For as long a file that live traffic or a
    policy keeps from its locks is tried again, and queues for them for a few seconds at a time. A statement that takes
    longer than `statement_timeout_s` is given up, but on the embedded database. Raises MigrationError.
    """
    migrations = available() if migrations is None else migrations
    done: list[str] = []
    deadline = time.monotonic() + lock_timeout_s
    with (
        psycopg.connect(conninfo(database_url), autocommit=True, prepare_threshold=None) as conn,
        _blockers(database_url, conn.info.backend_pid) as blockers,
    ):
        while True:
            try:
                name = _apply_next(conn, migrations, lock_timeout_s, statement_timeout_s)
            except _InTheWayError as error:
                if time.monotonic() > deadline:
                    who = f": {blockers[-1]}" if blockers else ""
                    raise MigrationError(f"{error}, for {lock_timeout_s:g} s; nothing of it is left{who}") from error
                time.sleep(0.2)
                continue
            if name is None:
                return done
            done.append(name)


def _apply_next(
    conn: psycopg.Connection, migrations: dict[str, str], lock_timeout_s: float, statement_timeout_s: float
) -> str | None:
    """Apply the first pending file and return its name, or None where there is none."""
    with conn.transaction():
        if not _lock(conn, lock_timeout_s):
            raise MigrationError(f"another process has been migrating this database for {lock_timeout_s} s")
        conn.execute(_JOURNAL)
        names = pending(conn, migrations)
        if not names:
            return None
        text = migrations[names[0]].encode()
        try:
            wait_ms, statement_ms = 1000 * min(_LONGEST_WAIT_S, lock_timeout_s), 1000 * statement_timeout_s
            conn.execute(f"SET LOCAL lock_timeout = {wait_ms:.0f}; SET LOCAL statement_timeout = {statement_ms:.0f}")
            conn.execute(text)
        except psycopg.errors.QueryCanceled as error:
            raise MigrationError(
                f"{names[0]}: a statement took longer than {statement_timeout_s:g} s, while others may have waited; "
                "nothing of it is left. At a quiet time let it have longer: almanac migrate --statement-timeout 3600"
            ) from error
        except psycopg.Error as error:
            if _is_in_the_way(error):
                raise _InTheWayError(f"{names[0]}: {error}") from error
            raise MigrationError(f"{names[0]}: {error}") from error
        conn.execute(
            "INSERT INTO schema_migrations (name, sha256) VALUES (%s, %s)", (names[0], sha256(text).hexdigest())
        )
        return names[0]


class _InTheWayError(Exception):
    pass


@contextmanager
def _blockers(database_url: str, backend_pid: int) -> Iterator[list[str]]:
    """Gather who keeps a backend from its locks while the block runs, as seen from a second connection."""
    seen: list[str] = []
    done = Event()

    def look() -> None:
        with suppress(psycopg.OperationalError):
            while not done.wait(_LOOK_EVERY_S):
                with psycopg.connect(conninfo(database_url), autocommit=True, prepare_threshold=None) as conn:
                    who = conn.execute(_BLOCKERS, [backend_pid]).fetchone()
                    if who and who[0]:
                        seen.append(who[0])

    # Not waited for: on the embedded database, where nobody waits for locks, it would wait for the end of ours.
    Thread(target=look, daemon=True).start()
    try:
        yield seen
    finally:
        done.set()


def _is_in_the_way(error: psycopg.Error) -> bool:
    # "tuple concurrently updated", or deleted, has no code of its own: a policy ran that the file was dropping.
    at_once = isinstance(error, psycopg.errors.InternalError_) and "tuple concurrently" in str(error)
    return at_once or isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.LockNotAvailable)


def _lock(conn: psycopg.Connection, timeout_s: float) -> bool:
    # Polled, not waited for: a wait inside the lock function is a transaction that CREATE INDEX CONCURRENTLY, run by
    # the lock's holder, would wait for in turn (https://github.com/element-hq/matrix-authentication-service/issues/5298).
    deadline = time.monotonic() + timeout_s
    while conn.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK_KEY,)).fetchone() != (True,):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
