"""Named queries and the way to the database: `queries.user_by_id(conn, id=7)` runs `user_by_id` of a .sql file here.

Imports nothing of ours. A name stands for one statement with declared parameters; the comment under it becomes its
docstring.
"""

import select
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiosql
import orjson
import psycopg
from aiosql.adapters.pyformat import PyFormatAdapter
from psycopg import Connection, Cursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool

from sql import arrays

__all__ = [
    "AWAY",
    "BEHIND",
    "DictConnection",
    "Pool",
    "Row",
    "connect",
    "conninfo",
    "is_refusal",
    "open_pool",
    "queries",
    "send",
]

DictConnection = Connection[DictRow]
Pool = ConnectionPool[DictConnection]
Row = dict[str, Any]

# What is raised where there is no server that takes writes: it is away, has become a standby, or has ended a session
# that was silent for too long, as that of a process which was stopped and goes on.
AWAY = (
    psycopg.OperationalError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
# What is raised where the schema is not that of this release: `almanac migrate` has still to run.
BEHIND = (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable)
# Of AWAY as PostgreSQL has it, and yet what was sent is to blame.
_TOO_MUCH = (psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)

# To plan these takes as long as to run them. All others are planned for their parameters each time: a plan made for any
# does not leave out the filters that nobody has set, nor the chunks of datapoints that nobody has asked for.
_PREPARED = {"history_state"} | {f"segment_{width}{form}" for width in ("15m", "1h", "1d") for form in ("", "_whole")}
_ONLY_THOSE = 2**31  # executions before psycopg prepares a statement by itself

# Statements commit by themselves; `with conn.transaction():` is the unit of work.
_CONNECTION: Mapping[str, Any] = {"autocommit": True, "prepare_threshold": _ONLY_THOSE, "row_factory": dict_row}

# jsonb writes 1e300 as an integer of 301 digits: one that 64 bits do not hold is read as a float, as JSON.parse does.
set_json_loads(orjson.loads)


def is_refusal(error: Exception) -> bool:
    """Whether what was sent is to blame, by the database or by our own code, so that it is no use to try again."""
    return isinstance(error, _TOO_MUCH) or not isinstance(error, (*AWAY, *BEHIND))


class _Adapter(PyFormatAdapter):
    """Rows come as a list, since aiosql's lazy generator would outlive the pooled connection, and in binary."""

    def select(  # type: ignore[override]
        self, conn: DictConnection, query_name: str, sql: str, parameters: Any, record_class: Any = None
    ) -> list[DictRow]:
        with self.send(conn, query_name, sql, parameters) as cursor:
            return cursor.fetchall()

    def select_one(  # type: ignore[override]
        self, conn: DictConnection, query_name: str, sql: str, parameters: Any, record_class: Any = None
    ) -> DictRow | None:
        rows = self.select(conn, query_name, sql, parameters)
        return rows[0] if rows else None

    @classmethod
    def send(cls, conn: DictConnection, query_name: str, sql: str, parameters: Any) -> Cursor[DictRow]:
        return cls._cursor(conn).execute(sql, parameters, prepare=query_name in _PREPARED)

    @staticmethod
    def _cursor(conn: DictConnection) -> Cursor[DictRow]:
        return conn.cursor(binary=True)  # numbers and times arrive as they are, arrays as ndarrays


queries: Any = aiosql.from_path(Path(str(files(__name__))), _Adapter, kwargs_only=True)


def send(conn: DictConnection, query: Any, **parameters: Any) -> Cursor[DictRow]:
    """Send one of `queries` and return its cursor; within `conn.pipeline()` its rows are there when that has ended."""
    return _Adapter.send(conn, query.__name__, query.sql, parameters)


def connect(database_url: str, patience_s: float | None = None) -> DictConnection:
    """Open one connection in UTC to the server that takes writes. Raises psycopg.OperationalError where there is none.

    `patience_s`: the server ends by itself a statement that takes longer, and a transaction whose client is silent for
    so long; the embedded database, which has no such settings, ignores it.
    """
    conn = psycopg.connect(conninfo(database_url, patience_s), **_CONNECTION)
    _configure(conn)
    return conn


def open_pool(
    database_url: str, *, max_size: int, timeout: float = 5.0, writable: bool = True
) -> ConnectionPool[DictConnection]:
    """Open a pool of connections in UTC, at most `max_size`; a caller waits `timeout` seconds for a free one.

    Open it after a fork, never before: a child must not share its parent's sockets. `writable=False` takes a standby
    too. When the server goes, and when another takes its place, callers get none of the connections that broke.
    """

    def check(conn: DictConnection) -> None:
        try:
            _check_open(conn)
        except psycopg.OperationalError:
            pool.drain()  # the others were to the same server; the pool would find them out one by one, seconds apart
            raise

    pool = ConnectionPool(
        conninfo(database_url, writable=writable),
        connection_class=DictConnection,
        kwargs=dict(_CONNECTION),
        min_size=1,
        max_size=max_size,
        timeout=timeout,
        # For how long the pool tries by itself, ever more rarely; afterwards it tries when somebody asks.
        reconnect_timeout=5.0,
        configure=_configure,
        check=check,
        open=True,
    )
    return pool


def conninfo(database_url: str, patience_s: float | None = None, *, writable: bool = True) -> str:
    """Return what libpq is told: UTC, and of several hosts the one that takes writes, unless the address says else."""
    options = "-c timezone=UTC"
    if patience_s is not None:
        limit_ms = int(patience_s * 1000)
        options += f" -c statement_timeout={limit_ms} -c idle_in_transaction_session_timeout={limit_ms}"
    given = conninfo_to_dict(database_url)
    several = "," in str(given.get("host", ""))
    defaults: dict[str, Any] = {
        "options": options,
        # For each host: one that is gone must not use up the caller's time, nor libpq's least, 2 s, his patience.
        "connect_timeout": 2 if several else min(5, max(2, int(patience_s or 5))),
        # A peer that has vanished without a word is noticed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 30_000,
    }
    if writable:
        defaults["target_session_attrs"] = given.get("target_session_attrs", "read-write")
    return make_conninfo(database_url, **defaults)


def _configure(conn: DictConnection) -> None:
    arrays.register(conn)
    # The embedded database's one session has others' statements too, of equal names.
    if conn.info.parameter_status("shared_session"):
        conn.prepare_threshold = None


def _check_open(conn: DictConnection) -> None:
    """Raise psycopg.OperationalError for an idle connection that has ended; only where something came it asks."""
    arrived = select.poll()
    arrived.register(conn.fileno(), select.POLLIN)
    if arrived.poll(0):
        conn.execute("SELECT 1")
