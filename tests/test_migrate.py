"""The schema's migrations: applied once, in order, whole or not at all, by however many processes."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain

import pytest
from caller import Caller
from click.testing import CliRunner
from postgres_servers import PostgresServer, server_directory, start_server
from waiting import wait_for

from app.cli import almanac
from ingestor.intake import Message
from ingestor.stopping import Stopping
from ingestor.store import Store
from ingestor.tokens import hash_token
from sql import DictConnection, connect
from sql.migrate import MigrationError, available, migrate


@pytest.fixture
def name(conn: DictConnection, database_url: str) -> Iterator[str]:
    """A word for migrations and tables of a test's own, on top of the platform's; both are gone after it."""
    word = f"m{secrets.token_hex(4)}"
    yield word
    conn.execute("DELETE FROM schema_migrations WHERE name LIKE %s", [f"%{word}%"])
    conn.execute(f"DROP TABLE IF EXISTS {word}")


def and_ours(**texts: str) -> dict[str, str]:
    return available() | {f"9{name}.sql": text for name, text in sorted(texts.items())}


def rows(conn: DictConnection, table: str) -> list[int]:
    return [row["i"] for row in conn.execute(f"SELECT i FROM {table} ORDER BY i")]


def test_an_up_to_date_schema_is_left_alone(database_url: str) -> None:
    assert migrate(database_url) == []


def test_files_are_applied_in_the_order_of_their_names_and_once(
    database_url: str, conn: DictConnection, name: str
) -> None:
    ours = and_ours(**{f"2{name}": f"INSERT INTO {name} VALUES (2)", f"1{name}": f"CREATE TABLE {name} (i integer)"})

    assert migrate(database_url, ours) == [f"91{name}.sql", f"92{name}.sql"]
    assert migrate(database_url, ours) == []
    assert rows(conn, name) == [2]


def test_a_failed_file_leaves_nothing_and_says_which_it_was(database_url: str, conn: DictConnection, name: str) -> None:
    ours = and_ours(**{name: f"CREATE TABLE {name} (i integer); INSERT INTO no_such_table VALUES (1)"})

    with pytest.raises(MigrationError, match=rf'9{name}\.sql: relation "no_such_table" does not exist'):
        migrate(database_url, ours)

    assert conn.execute("SELECT to_regclass(%s) AS found", [name]).fetchall() == [{"found": None}]


def test_a_file_that_waits_for_a_lock_is_applied_once_that_is_free(
    database_url: str, conn: DictConnection, name: str
) -> None:
    conn.execute(f"CREATE TABLE {name} (i integer)")
    # What PostgreSQL says of a deadlock, of a lock held too long, of a row of its own changed at once; then no more.
    conn.execute(f"CREATE SEQUENCE {name}_tries OWNED BY {name}.i")
    text = f"""
    DO $$BEGIN
        IF nextval('{name}_tries') = 1 THEN RAISE deadlock_detected; END IF;
        IF currval('{name}_tries') = 2 THEN RAISE lock_not_available; END IF;
        IF currval('{name}_tries') = 3 THEN RAISE internal_error USING MESSAGE = 'tuple concurrently updated'; END IF;
        INSERT INTO {name} VALUES (1);
    END$$
    """

    assert migrate(database_url, and_ours(**{name: text})) == [f"9{name}.sql"]
    assert rows(conn, name) == [1]


@pytest.fixture(scope="module")
def native() -> Iterator[PostgresServer]:
    """A server with several sessions, which wait for each other and keep to their timeouts."""
    with server_directory() as directory:
        server = start_server(directory / "native")
        yield server
        server.stop()


def test_a_file_that_gets_no_lock_gives_up_says_who_has_it_and_leaves_all_as_it_was(native: PostgresServer) -> None:
    native.execute("CREATE TABLE wanted (i integer)")
    ours = {"0001_ours.sql": "CREATE TABLE made (i integer); ALTER TABLE wanted ADD COLUMN j integer"}

    with connect(native.url) as other, other.transaction():
        other.execute("LOCK TABLE wanted")
        with pytest.raises(MigrationError) as raised:
            migrate(native.url, ours, lock_timeout_s=1)
        said, process = str(raised.value), other.info.backend_pid

    assert "0001_ours.sql: canceling statement due to lock timeout" in said
    assert f"process {process} (no name of almanac, in its transaction for " in said
    assert f"LOCK TABLE wanted); SELECT pg_terminate_backend({process}) ends it" in said
    assert native.execute("SELECT to_regclass('made')") == [(None,)]
    assert migrate(native.url, ours) == ["0001_ours.sql"]


def test_a_statement_that_takes_too_long_is_given_up(native: PostgresServer) -> None:
    ours = {"0002_slow.sql": "CREATE TABLE slowly (i integer); SELECT pg_sleep(5)"}

    with pytest.raises(MigrationError, match=r"0002_slow\.sql: a statement took longer than 0\.2 s"):
        migrate(native.url, ours, statement_timeout_s=0.2)

    assert native.execute("SELECT to_regclass('slowly')") == [(None,)]


def test_a_file_edited_after_it_was_applied_is_refused(database_url: str, name: str) -> None:
    migrate(database_url, and_ours(**{name: f"CREATE TABLE {name} (i integer)"}))

    with pytest.raises(MigrationError, match=rf"9{name}\.sql was edited after it was applied"):
        migrate(database_url, and_ours(**{name: f"CREATE TABLE {name} (i bigint)"}))


def test_two_processes_that_start_at_once_apply_each_file_once(
    database_url: str, conn: DictConnection, name: str
) -> None:
    ours = and_ours(
        **{f"1{name}": f"CREATE TABLE {name} (i integer)"},
        **{f"{number}{name}": f"INSERT INTO {name} VALUES ({number})" for number in range(2, 10)},
    )
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(lambda _: migrate(database_url, ours), range(4)))

    assert sorted(chain.from_iterable(applied)) == sorted(set(ours) - set(available()))
    assert rows(conn, name) == list(range(2, 10))


def test_messages_wait_while_the_schema_is_still_to_be_migrated(
    user: Caller, conn: DictConnection, database_url: str
) -> None:
    device = user.register_device()
    token = device["device_token"]
    message = Message(f"device/sck/{token}/readings/raw", b"{t:2026-01-15T12:00:00Z,55:21}")
    store = Store(database_url, Stopping(), patience_s=20)
    with ThreadPoolExecutor(1) as threads:
        with without(conn, "ingest_version"):
            put = threads.submit(store.put, [message])
            wait_for(lambda: store.away_since)
        assert put.result() == []
    store.close()

    assert rows_of_quarantine(conn, token) == 0
    assert user.get(f"/v0/devices/{device['id']}/readings/summary").json["components"]


def test_an_api_that_is_ahead_of_its_schema_says_so(anybody: Caller, conn: DictConnection) -> None:
    with without(conn, "tags"):
        answer = anybody.get("/v0/tags")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "schema is not that of this release" in answer.json["message"]


def test_a_command_that_is_ahead_of_its_schema_says_so(conn: DictConnection, database_url: str) -> None:
    with without(conn, "ingest_version"):
        ended = CliRunner().invoke(almanac, ["retention"], env={"DATABASE_URL": database_url})

    assert ended.exit_code == 1
    assert ended.output.endswith('(relation "ingest_version" does not exist): run `almanac migrate`\n')


@contextmanager
def without(conn: DictConnection, table: str) -> Iterator[None]:
    """A schema that lacks a table."""
    conn.execute(f"ALTER TABLE {table} RENAME TO {table}_of_later")
    try:
        yield
    finally:
        conn.execute(f"ALTER TABLE {table}_of_later RENAME TO {table}")


def rows_of_quarantine(conn: DictConnection, token: str) -> int:
    return conn.execute("SELECT FROM quarantine WHERE token_hash = %s", [hash_token(token)]).rowcount
