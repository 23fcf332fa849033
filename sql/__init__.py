"""Named queries and the way to the database: `queries.user_by_id(conn, id=7)` runs `user_by_id` of a .sql file here.

Imports nothing of ours. A name stands for one statement with declared parameters; the comment under it becomes its
docstring.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiosql
import psycopg
from aiosql.adapters.pyformat import PyFormatAdapter
from psycopg import Connection, Cursor
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from sql import arrays

__all__ = ["DictConnection", "Pool", "Row", "connect", "open_pool", "queries"]

DictConnection = Connection[DictRow]
Pool = ConnectionPool[DictConnection]
Row = dict[str, Any]

# Statements commit by themselves; `with conn.transaction():` is the unit of work.
# prepare_threshold: clients of the embedded database share one session, and so one set of prepared statements.
_CONNECTION: Mapping[str, Any] = {"autocommit": True, "prepare_threshold": None, "row_factory": dict_row}


class _Adapter(PyFormatAdapter):
    """Rows come as a list, since aiosql's lazy generator would outlive the pooled connection, and in binary."""

    def select(  # type: ignore[override]
        self, conn: DictConnection, query_name: str, sql: str, parameters: Any, record_class: Any = None
    ) -> list[DictRow]:
        with self._cursor(conn) as cursor:
            return cursor.execute(sql, parameters).fetchall()

    def _cursor(self, conn: DictConnection) -> Cursor[DictRow]:
        return conn.cursor(binary=True)  # numbers and times arrive as they are, arrays as ndarrays


queries: Any = aiosql.from_path(Path(str(files(__name__))), _Adapter, kwargs_only=True)


def connect(database_url: str, patience_s: float | None = None) -> DictConnection:
    """Open one connection in UTC. Raises psycopg.OperationalError after 5 seconds without an answer.

    `patience_s`: the server ends by itself a statement that takes longer, and a transaction whose client is silent for
    so long; the embedded database, which has no such settings, ignores it.
    """
    conn = psycopg.connect(_in_utc(database_url, patience_s), **_CONNECTION)
    arrays.register(conn)
    return conn


def open_pool(database_url: str, *, max_size: int, timeout: float = 5.0) -> ConnectionPool[DictConnection]:
    """Open a pool of connections in UTC, at most `max_size`; a caller waits `timeout` seconds for a free one.

    Open it after a fork, never before: a child must not share its parent's sockets.
    """
    return ConnectionPool(
        _in_utc(database_url),
        connection_class=DictConnection,
        kwargs=dict(_CONNECTION),
        min_size=1,
        max_size=max_size,
        timeout=timeout,
        configure=arrays.register,
        open=True,
    )


def _in_utc(database_url: str, patience_s: float | None = None) -> str:
    options = "-c timezone=UTC"
    if patience_s is not None:
        limit_ms = int(patience_s * 1000)
        options += f" -c statement_timeout={limit_ms} -c idle_in_transaction_session_timeout={limit_ms}"
    return make_conninfo(
        database_url,
        options=options,
        connect_timeout=5,
        # A peer that has vanished without a word is noticed within half a minute.
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=4,
        tcp_user_timeout=30_000,
    )
