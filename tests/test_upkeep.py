"""`almanac db check`: what is not well is named, with its limit and the way out, and tells a monitor so."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from conftest import empty_database, prepare
from postgres_servers import PostgresServer, prepare_server, server_directory, start_server
from waiting import refresh_all, wait_for

from app.cli import almanac
from sql import DictConnection, connect, queries


@pytest.fixture(scope="module")
def own_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database in which no other test has left anything undone."""
    with empty_database(tmp_path_factory.mktemp("upkeep")) as url:
        prepare(url)
        yield url


@pytest.fixture
def own(own_url: str) -> Iterator[DictConnection]:
    with connect(own_url) as conn:
        refresh_all(conn)
        yield conn


def check(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(almanac, ["db", "check", *arguments], env={"DATABASE_URL": url})


def test_a_database_that_looks_after_itself_is_well(own: DictConnection, own_url: str) -> None:
    answer = check(own_url, "--disk", "1000000")

    lines = answer.output.splitlines()
    if "TEST_DATABASE_URL" in os.environ:  # a server with many databases may lack workers for the jobs of this one
        lines = [line for line in lines if "policy" not in line and not line.startswith("    ")]
    else:
        assert answer.exit_code == 0, answer.output
    assert [line.split(": ")[0] for line in lines if "policy" not in line] == [
        "ok  refresh of the aggregates",
        "ok  days to refresh",
        "ok  chunks of datapoints to convert",
        "ok  archive of the log",
        "ok  disk",
    ]


JOB = "(SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'refresh_rollups')"
LATE_DAY = """
WITH owner AS (INSERT INTO users (username, email, password_hash) VALUES ('a', 'a@example.org', '') RETURNING id),
device AS (INSERT INTO devices (owner_id, name) SELECT id, 'Balcony' FROM owner RETURNING id)
INSERT INTO rollup_dirty (device_id, day, marked_at) SELECT id, '2026-01-15', now() - INTERVAL '2 hours' FROM device
"""
OLD_DATAPOINT = (
    "INSERT INTO datapoints (device_id, sensor_id, time, value) VALUES (1, 55, now() - INTERVAL '30 days', 1)"
)
MADE_DAYS_AGO = "UPDATE _timescaledb_catalog.chunk SET creation_time = creation_time - INTERVAL '2 days'"
NO_CONVERSION = """
SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression';
"""
NOT_WELL = {
    "a job that is switched off": (
        f"SELECT alter_job({JOB}, scheduled => false)",
        f"SELECT alter_job({JOB}, scheduled => true)",
        ["policy refresh_rollups: switched off (allowed: every 00:01:00", "SELECT alter_job("],
    ),
    "a policy that is gone": (
        "CALL remove_columnstore_policy('datapoints')",
        "CALL add_columnstore_policy('datapoints', after => INTERVAL '7 days')",
        ["policy policy_compression of datapoints: missing", "add_columnstore_policy()"],
    ),
    "aggregates that are behind": (
        "UPDATE rollup_horizon SET refreshed_until = refreshed_until - INTERVAL '1 hour'",
        "UPDATE rollup_horizon SET refreshed_until = refreshed_until + INTERVAL '1 hour'",
        ["refresh of the aggregates: 01:", "(allowed: 45 minutes)", "CALL refresh_rollups()"],
    ),
    "a day that waits for its refresh": (
        LATE_DAY,
        "DELETE FROM rollup_dirty",
        ["days to refresh: 1, the oldest for 02:00:0", "(allowed: 1 hour)", "CALL refresh_rollups()"],
    ),
    "a chunk that was not converted": (
        NO_CONVERSION + OLD_DATAPOINT + "; " + MADE_DAYS_AGO,
        "SELECT drop_chunks('datapoints', older_than => now() + INTERVAL '1 year')",
        [
            "chunks of datapoints to convert: 1, the oldest from 2",
            "(allowed: older than 10 days and made a day ago: 0)",
            "convert_to_column",
        ],
    ),
}


@pytest.mark.parametrize(("damage", "repair", "said"), NOT_WELL.values(), ids=NOT_WELL.keys())
def test_what_is_not_well_is_named_with_its_limit_and_the_way_out(
    own: DictConnection, own_url: str, damage: str, repair: str, said: list[str]
) -> None:
    own.execute(damage)
    answer = check(own_url)
    own.execute(repair)

    assert answer.exit_code == 1
    lines = answer.output.splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.startswith(f"BAD {said[0]}")]
    finding = " ".join(lines[number : number + 2])
    assert all(words in finding for words in said), finding


def test_a_policy_that_failed_says_why(own: DictConnection, own_url: str) -> None:
    job = "(SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'convert_rollups_to_columnstore')"
    ended = "last_start = now(), last_finish = now(), last_run_success = %s"
    end = f"UPDATE _timescaledb_internal.bgw_job_stat SET {ended} WHERE job_id = {job}".encode()
    wait_for(lambda: own.execute(end, [False]).rowcount)
    shown = check(own_url)
    own.execute(end, [True])

    failed = r"BAD policy convert_rollups_to_columnstore: its last run failed: \w.*\n +CALL run_job\(\d+\) tries"
    assert re.search(failed, shown.output), shown.output


def test_a_chunk_that_late_data_has_just_made_may_wait_for_the_policy(own: DictConnection, own_url: str) -> None:
    own.execute(NO_CONVERSION + OLD_DATAPOINT)
    answer = check(own_url)
    own.execute("SELECT drop_chunks('datapoints', older_than => now() + INTERVAL '1 year')")

    assert "ok  chunks of datapoints to convert: 0 (" in answer.output


def test_what_late_data_brings_to_a_converted_aggregate_is_converted_in_its_turn(own: DictConnection) -> None:
    own.execute("INSERT INTO users (id, username, email, password_hash) VALUES (7, 'late', 'late@example.org', '')")
    own.execute("INSERT INTO devices (id, owner_id, name) VALUES (7, 7, 'Late')")

    def write_late(hour: int) -> None:
        own.execute(
            "INSERT INTO datapoints (device_id, sensor_id, time, value) VALUES (7, 55, %s, 1)",
            [datetime(2020, 3, 1, hour, tzinfo=UTC)],
        )
        own.execute("INSERT INTO rollup_dirty (device_id, day) VALUES (7, '2020-03-01')")
        refresh_all(own)

    def in_row_store() -> list[dict[str, Any]]:
        return own.execute(
            "SELECT a.view_name FROM timescaledb_information.chunks AS c "
            "JOIN timescaledb_information.continuous_aggregates AS a "
            "ON c.hypertable_name = a.materialization_hypertable_name "
            "JOIN _timescaledb_catalog.chunk AS k ON k.table_name = c.chunk_name "
            "WHERE c.range_end < '2021-06-01' AND k.status <> 1 ORDER BY 1"  # 1: all of it is in the columnstore
        ).fetchall()

    views = [{"view_name": f"datapoints_{width}"} for width in ("15m", "1d", "1h")]
    for hour in (3, 5):
        write_late(hour)
        assert in_row_store() == views
        own.execute("CALL convert_rollups_to_columnstore()")
        assert in_row_store() == []


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of many sessions, that counts what is read; the embedded one has one, and does not."""
    with server_directory() as directory:
        server = start_server(directory / "server")
        try:
            prepare_server(server)
            yield server
        finally:
            server.stop()


def test_a_large_table_that_is_read_whole_again_and_again_is_named(server: PostgresServer) -> None:
    server.execute("CREATE TABLE big AS SELECT i FROM generate_series(1, 11000) AS i")
    server.execute("DO $$ BEGIN FOR n IN 1..1001 LOOP PERFORM count(*) FROM big; END LOOP; END $$")
    wait_for(lambda: "scans of big" in check(server.url).output)
    answer = check(server.url)

    assert "BAD scans of big: 1001 whole reads of 11000 rows, 0 by an index" in answer.output
    assert "EXPLAIN" in answer.output


def test_the_refresh_waits_for_no_writer(server: PostgresServer) -> None:
    server.execute(LATE_DAY)
    held, free = date(2026, 1, 15), date(2026, 1, 16)
    with connect(server.url) as writer, connect(server.url) as refresher:
        refresher.execute("SET lock_timeout = '2s'")
        [device] = writer.execute("INSERT INTO rollup_dirty SELECT id, %s FROM devices RETURNING device_id", [free])
        with writer.transaction():
            queries.mark_late_days(writer, device_ids=[device["device_id"]], days=[held])
            refresher.execute("CALL refresh_rollups()")
        assert refresher.execute("SELECT day FROM rollup_dirty").fetchall() == [{"day": held}]

        refresher.execute("CALL refresh_rollups()")
        assert refresher.execute("SELECT day FROM rollup_dirty").fetchall() == []


@pytest.mark.usefixtures("own")
def test_a_disk_that_is_too_small_is_full(own_url: str) -> None:
    answer = check(own_url, "--disk", "0.001")

    assert answer.exit_code == 1
    assert "BAD disk: " in answer.output
    assert ", full (allowed: 60 days to go on 0.001 GB)" in answer.output


def test_a_database_that_does_not_answer_is_another_matter() -> None:
    answer = check("postgresql://almanac@127.0.0.1:1/none")

    assert answer.exit_code == 2
    assert "the database does not answer" in answer.output


@pytest.mark.parametrize("command", ["retention", "seed", "broker check", "site status"])
def test_a_command_without_its_database_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://almanac@127.0.0.1:1/almanac")

    answer = CliRunner().invoke(almanac, command.split())

    assert answer.exit_code == 1
    assert answer.output.startswith("Error: the database does not answer: connection failed")


def test_what_the_server_itself_says_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def canceled(*_: object) -> None:
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    monkeypatch.setenv("DATABASE_URL", "postgresql://almanac@127.0.0.1:1/almanac")
    monkeypatch.setattr("sql.connect", canceled)

    answer = CliRunner().invoke(almanac, ["retention"])

    assert isinstance(answer.exception, psycopg.errors.QueryCanceled)
