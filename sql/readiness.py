"""Whether the database can serve this release."""

import psycopg

from sql import DictConnection, connect, migrate, queries

OK = "ok"

_PATIENCE_S = 2.0  # who asks whether all is well asks again in a few seconds


def schema(conn: DictConnection) -> str:
    """Return `ok`, or which of this release's migrations the database lacks."""
    applied = set(queries.migrated(conn) or ())
    missing = [name for name in migrate.available() if name not in applied]
    return f"{missing[0]} is not applied to the database: run `almanac migrate`" if missing else OK


def database(database_url: str) -> str:
    """Connect, and return `ok` or what is wrong."""
    try:
        with connect(database_url, patience_s=_PATIENCE_S) as conn:
            return schema(conn)
    except psycopg.Error as error:
        return f"the database does not answer: {type(error).__name__}"
