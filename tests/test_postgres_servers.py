"""The servers that tests of replicas and sites start: real ones, with Almanac's tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_servers import PostgresServer, base_backup_of, prepare_server, server_directory, start_server
from waiting import wait_for

from sql import connect, queries
from sql.migrate import migrate


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with server_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[PostgresServer]:
    server = start_server(directory / "first")
    try:
        prepare_server(server)
        yield server
    finally:
        server.stop()


def test_every_migration_and_the_catalogue_are_there(server: PostgresServer) -> None:
    assert migrate(server.url) == []
    with connect(server.url) as conn:
        assert queries.existing_sensors(conn, ids=[55]) == [{"id": 55}]
        conn.execute("CALL refresh_rollups()")


def test_a_connection_of_its_own_session_plans_what_history_asks_once(server: PostgresServer) -> None:
    anything = {"device_id": 1, "first_day": None, "last_day": None, "as_of": None, "sensor_ids": [], "keys": []}
    with connect(server.url) as conn:
        for _ in range(3):
            queries.history_state(conn, **anything)
            queries.existing_sensors(conn, ids=[55])
        prepared = conn.execute("SELECT statement, generic_plans + custom_plans AS runs FROM pg_prepared_statements")

        assert [(row["statement"].split()[0], row["runs"]) for row in prepared] == [("SELECT", 3)]


def test_a_copy_follows_its_original_and_takes_its_place(server: PostgresServer, directory: Path) -> None:
    copy = base_backup_of(server, directory / "second")
    try:
        server.execute("CREATE TABLE noted (i integer)")
        server.execute("INSERT INTO noted VALUES (1)")
        wait_for(lambda: copy.execute("SELECT to_regclass('noted')") != [(None,)])
        wait_for(lambda: copy.execute("SELECT i FROM noted") == [(1,)])
        server.kill()
        copy.promote()
        copy.execute("INSERT INTO noted VALUES (2)")
        assert copy.execute("SELECT count(*) FROM noted") == [(2,)]
    finally:
        copy.stop()
