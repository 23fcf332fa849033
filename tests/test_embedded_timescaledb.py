"""The embedded TimescaleDB: many clients on its one engine, what it refuses, and what survives its end."""

import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import ConnectionPool
from waiting import wait_for

from scripts.node import node_binary

SERVER = Path(__file__).parent.parent / "scripts" / "embedded_timescaledb" / "server.mjs"
READY = re.compile(r"embedded TimescaleDB \S+ ready on 127\.0\.0\.1:(\d+)\n")
STARTUP = struct.pack("!iHHx", 9, 3, 0)  # protocol 3.0, no parameters


class Server:
    """A run of the server on a data directory; its words on stderr go to a file beside that."""

    def __init__(self, data: Path, port: int = 0) -> None:
        self.log = data.with_suffix(".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [node_binary(), SERVER, "--data", data, "--port", str(port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout
        with self.process.stdout as output:
            first_line = output.readline()
        if ready := READY.fullmatch(first_line):
            self.port = int(ready[1])
        else:
            self.process.wait(10)

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        url = f"postgresql://anyone@127.0.0.1:{self.port}/any"
        return psycopg.connect(url, autocommit=autocommit, prepare_threshold=None, connect_timeout=5)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(15)


@pytest.fixture(scope="module")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that was started once: to copy, for the first start takes 2 s and the next ones 0.7 s."""
    data = tmp_path_factory.mktemp("new") / "database"
    assert Server(data).end(signal.SIGTERM) == 0
    return data


@pytest.fixture
def start(tmp_path: Path, new_database: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, on one data directory unless told otherwise, and ends them after the test."""
    servers: list[Server] = []
    database = tmp_path / "database"
    shutil.copytree(new_database, database)

    def start(data: Path = database, port: int = 0) -> Server:
        servers.append(Server(data, port))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave it running."""
    server = Server(tmp_path_factory.mktemp("shared") / "database")
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def connection(server: Server) -> Iterator[psycopg.Connection]:
    """A connection with an empty table `numbers(i int)`."""
    with server.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS numbers")
        connection.execute("CREATE TABLE numbers(i int)")
        yield connection


def count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM numbers").fetchone()
    assert row
    return int(row[0])


def vanish(connection: psycopg.Connection) -> None:
    """End a connection as the death of its process would: no Terminate, only the end of the bytes."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
    connection.close()


def test_hierarchical_aggregates_of_a_hypertable_give_back_what_was_inserted(
    connection: psycopg.Connection,
) -> None:
    for statement in (
        "CREATE TABLE m(time timestamptz, v float8) WITH (tsdb.hypertable, tsdb.partition_column = 'time')",
        "CREATE MATERIALIZED VIEW m_15m WITH (timescaledb.continuous) AS"
        " SELECT time_bucket('15 min', time) AS bucket, sum(v) AS sum, count(v) AS n FROM m GROUP BY 1 WITH NO DATA",
        "CREATE MATERIALIZED VIEW m_1h WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS"
        " SELECT time_bucket('1 h', bucket) AS bucket, sum(sum) AS sum, sum(n) AS n FROM m_15m GROUP BY 1"
        " WITH NO DATA",
        "INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '1 min', i FROM generate_series(0, 119) i",
        "CALL refresh_continuous_aggregate('m_15m', NULL, '2026-01-02')",
        "CALL refresh_continuous_aggregate('m_1h', NULL, '2026-01-02')",
    ):
        connection.execute(statement)

    hours = connection.execute("SELECT sum, n::int FROM m_1h ORDER BY bucket").fetchall()

    assert hours == [(sum(range(60)), 60), (sum(range(60, 120)), 60)]


def test_concurrent_clients_never_see_each_others_replies(server: Server, connection: psycopg.Connection) -> None:
    def work(client: int) -> int:
        with server.connect() as mine:
            for i in range(client, 400, 8):
                with mine.transaction():
                    mine.execute("INSERT INTO numbers VALUES (%s)", (i,))
                    assert mine.execute("SELECT %s::int", (i,)).fetchone() == (i,)
                with mine.pipeline():
                    cursors = [mine.execute("SELECT %s::int, %s::text", (i, f"{client}.{n}")) for n in range(5)]
                assert [cursor.fetchone() for cursor in cursors] == [(i, f"{client}.{n}") for n in range(5)]
                with pytest.raises(errors.DivisionByZero):
                    mine.execute("SELECT 1 / %s::int", (0,))
        return client

    with ThreadPoolExecutor(8) as clients:
        assert list(clients.map(work, range(8))) == list(range(8))

    assert count(connection) == 400


def test_pooled_connections_share_the_engine(server: Server) -> None:
    def ask(n: int) -> int:
        with pool.connection(timeout=10) as connection:
            row = connection.execute("SELECT %s::int", (n,)).fetchone()
        assert row
        return int(row[0])

    url = f"postgresql://127.0.0.1:{server.port}/any"
    with (
        ConnectionPool(url, min_size=4, open=True, kwargs={"prepare_threshold": None}) as pool,
        ThreadPoolExecutor(8) as threads,
    ):
        assert list(threads.map(ask, range(100))) == list(range(100))


def test_a_server_side_cursor_is_read_page_by_page(connection: psycopg.Connection) -> None:
    with connection.transaction(), connection.cursor(name="pages") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT i FROM generate_series(0, 9999) i")
        assert [i for (i,) in cursor] == list(range(10_000))


def test_a_transaction_keeps_the_others_waiting_until_it_ends(server: Server, connection: psycopg.Connection) -> None:
    with server.connect() as other, ThreadPoolExecutor(1) as thread:
        with connection.transaction():
            connection.execute("INSERT INTO numbers VALUES (1)")
            seen = thread.submit(count, other)
            connection.execute("INSERT INTO numbers VALUES (2)")
        assert seen.result(5) == 2


def test_a_client_that_dies_inside_a_transaction_is_rolled_back(server: Server, connection: psycopg.Connection) -> None:
    dying = server.connect(autocommit=False)
    dying.execute("INSERT INTO numbers VALUES (1)")
    vanish(dying)

    assert count(connection) == 0


def test_a_client_that_dies_before_its_sync_is_rolled_back(server: Server, connection: psycopg.Connection) -> None:
    dying = server.connect()
    dying.pgconn.enter_pipeline_mode()
    dying.pgconn.send_query_params(b"INSERT INTO numbers VALUES (1) RETURNING i", None)
    dying.pgconn.send_flush_request()
    dying.pgconn.flush()
    assert dying.pgconn.get_result()
    vanish(dying)

    assert count(connection) == 0


def test_a_client_that_dies_in_a_failed_pipeline_is_rolled_back(server: Server, connection: psycopg.Connection) -> None:
    dying = server.connect(autocommit=False)
    dying.execute("INSERT INTO numbers VALUES (1)")
    dying.pgconn.enter_pipeline_mode()
    dying.pgconn.send_query_params(b"not SQL", None)
    dying.pgconn.send_flush_request()
    dying.pgconn.flush()
    assert dying.pgconn.get_result()
    vanish(dying)

    assert count(connection) == 0


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize(
    "statement",
    [
        b"COPY numbers FROM STDIN",
        b"copy numbers (i) from stdin with (format binary)",
        b'SELECT 1; /* and */ COPY "numbers"\nFROM -- us\n STDIN',
    ],
)
def test_copy_from_stdin_is_refused(connection: psycopg.Connection, statement: bytes, protocol: str) -> None:
    if protocol == "simple":
        result = connection.pgconn.exec_(statement)
    else:
        result = connection.pgconn.exec_params(statement, None)

    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"0A000"
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_refused_copy_fails_its_transaction(connection: psycopg.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO numbers VALUES (1)")
    with pytest.raises(errors.FeatureNotSupported, match="unnest"):
        connection.execute("COPY numbers FROM STDIN")
    connection.execute("COMMIT")

    assert count(connection) == 0


@pytest.mark.parametrize(
    "text", ["COPY numbers FROM STDIN", "; COPY numbers FROM STDIN", "it's; COPY numbers FROM STDIN"]
)
def test_text_about_copy_is_only_text(connection: psycopg.Connection, text: str) -> None:
    for literal in (psycopg.sql.Literal(text), psycopg.sql.SQL(f"$${text}$$")):
        query = psycopg.sql.SQL("SELECT {}").format(literal)
        assert connection.execute(query).fetchone() == (text,)


def test_copy_to_stdout_works(connection: psycopg.Connection) -> None:
    with connection.cursor().copy("COPY (SELECT i FROM generate_series(1, 3) i) TO STDOUT") as copy:
        assert list(copy.rows()) == [("1",), ("2",), ("3",)]


def test_a_slow_reader_does_not_hold_the_engine(server: Server, connection: psycopg.Connection) -> None:
    slow = server.connect()
    slow.pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 50000)")
    slow.pgconn.flush()
    wait_for(lambda: select.select([slow.fileno()], [], [], 0)[0])

    assert count(connection) == 0
    vanish(slow)


def test_a_client_that_cancels_goes_on(connection: psycopg.Connection) -> None:
    connection.cancel_safe()
    assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "nonsense",
    [b"GET / HTTP/1.1\r\n\r\n", STARTUP + b"Q\0\0\0\0", STARTUP + b"~\0\0\0\4"],
)
def test_nonsense_only_ends_its_own_connection(server: Server, connection: psycopg.Connection, nonsense: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        line.sendall(nonsense)
        while line.recv(65536):
            pass

    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_due_policy_is_run_and_recorded(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE PROCEDURE take_note(job int, config jsonb) LANGUAGE sql AS 'INSERT INTO numbers VALUES (1)'"
    )
    connection.execute("SELECT add_job('take_note', '1 hour')")

    wait_for(lambda: count(connection))

    stats = connection.execute(
        "SELECT last_run_status, total_runs, next_start > now() FROM timescaledb_information.job_stats"
        " JOIN timescaledb_information.jobs USING (job_id, next_start) WHERE proc_name = 'take_note'"
    )
    assert stats.fetchall() == [("Success", 1, True)]


def test_a_failing_policy_is_logged_and_the_next_one_still_runs(server: Server, connection: psycopg.Connection) -> None:
    connection.execute("CREATE PROCEDURE fail(job int, config jsonb) LANGUAGE sql AS 'SELECT 1 / 0'")
    connection.execute(
        "CREATE PROCEDURE succeed(job int, config jsonb) LANGUAGE sql AS 'INSERT INTO numbers VALUES (1)'"
    )
    failing = connection.execute("SELECT add_job('fail', '1 hour')").fetchone()
    connection.execute("SELECT add_job('succeed', '1 hour')")

    wait_for(lambda: count(connection))

    assert failing
    assert f"policy job {failing[0]} failed: 22012 division by zero" in server.log.read_text()


def test_what_was_committed_survives_kill_9(start: Callable[..., Server]) -> None:
    server = start()
    connection = server.connect()
    connection.execute("CREATE TABLE numbers(i int)")
    for i in range(100):
        connection.execute("INSERT INTO numbers VALUES (%s)", (i,))
    connection.execute("BEGIN")
    connection.execute("INSERT INTO numbers VALUES (100)")
    server.end(signal.SIGKILL)
    connection.close()

    with start().connect() as connection:
        assert count(connection) == 100


def test_a_restarted_server_knows_hypertables_from_its_first_statement(start: Callable[..., Server]) -> None:
    start().end(signal.SIGTERM)
    with start().connect() as connection:
        connection.execute("CREATE TABLE m(time timestamptz) WITH (tsdb.hypertable, tsdb.partition_column = 'time')")


def test_a_first_start_that_was_cut_short_is_begun_again(start: Callable[..., Server], tmp_path: Path) -> None:
    pgdata = tmp_path / "cut short" / "pgdata"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("17\n")

    with start(pgdata.parent).connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_second_server_on_the_same_directory_is_refused(start: Callable[..., Server]) -> None:
    first = start()
    second = start()

    assert second.process.returncode == 1
    assert f"is in use by process {first.process.pid}" in second.log.read_text()


def test_a_taken_port_is_named(start: Callable[..., Server], server: Server, tmp_path: Path) -> None:
    refused = start(tmp_path / "other", server.port)

    assert refused.process.returncode == 1
    assert f"127.0.0.1:{server.port}: the port is taken" in refused.log.read_text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_its_clients_are_told(start: Callable[..., Server], how: signal.Signals) -> None:
    server = start()
    with server.connect(autocommit=False) as connection:
        connection.execute("SELECT 1")

        assert server.end(how) == 0

        with pytest.raises(errors.AdminShutdown):
            connection.execute("SELECT 1")


def test_a_running_transaction_may_end_before_the_server_does(start: Callable[..., Server]) -> None:
    server = start()
    with server.connect() as connection:
        connection.execute("CREATE TABLE numbers(i int)")
        with connection.transaction():
            connection.execute("INSERT INTO numbers VALUES (1)")
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
    assert server.process.wait(15) == 0

    with start().connect() as connection:
        assert count(connection) == 1


def test_a_broken_down_engine_ends_the_server_loudly(start: Callable[..., Server]) -> None:
    server = start()
    with server.connect() as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT repeat('[', 100000)::json")  # deeper than its stack

    assert server.process.wait(15) == 1
    assert "the engine broke down" in server.log.read_text()
