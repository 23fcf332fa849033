"""Backup and restore, as docker/compose.yaml runs them: pgBackRest, its archive of the log, and the drill."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from postgres_servers import (
    PostgresServer,
    prepare_server,
    program_of,
    server_directory,
    start_server,
)

from scripts.supervisor import ROOT
from sql import connect

pytestmark = pytest.mark.skipif(
    shutil.which("pgbackrest") is None or "TEST_POSTGRES_BIN" not in os.environ,
    reason="THE RESTORE DRILL IS NOT TESTED: it needs pgBackRest (apt-get install pgbackrest) and, in "
    "TEST_POSTGRES_BIN, the programs of a PostgreSQL that this pgBackRest knows",
)
SCRIPTS = ROOT / "docker" / "database"


@pytest.fixture(scope="module")
def backed_up() -> Iterator[tuple[PostgresServer, Path]]:
    """A server that archives its log, and the directory of everything, its socket included."""
    with server_directory() as directory:
        (directory / "drill").mkdir(mode=0o777)
        (directory / "drill").chmod(0o777)
        configuration = directory / "pgbackrest.conf"
        configuration.write_text(
            f"[global]\nrepo1-path={directory}/repository\nrepo1-retention-full=2\nstart-fast=y\narchive-async=n\n"
            f"log-path={directory}\nlock-path={directory}/lock\nspool-path={directory}/spool\n"
            f"[almanac]\npg1-path={directory}/data\npg1-socket-path={directory}\npg1-user=almanac\n"
        )
        push = f"pgbackrest --config={configuration} --stanza=almanac archive-push %p"
        settings = {"archive_mode": "on", "archive_command": push, "unix_socket_directories": str(directory)}
        server = start_server(directory / "data", settings=settings)
        try:
            configuration.write_text(configuration.read_text() + f"pg1-port={server.port}\n")
            prepare_server(server)
            yield server, directory
        finally:
            server.stop()


def run(backed_up: tuple[PostgresServer, Path], *command: str | Path) -> subprocess.CompletedProcess[str]:
    server, directory = backed_up
    programs = Path(str(program_of("psql")[-1])).parent
    env = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PGBACKREST_CONFIG": str(directory / "pgbackrest.conf"),
        "PGBACKREST_STANZA": "almanac",
        "PGHOST": str(directory),
        "PGPORT": str(server.port),
        "PGUSER": "almanac",
        "PGDATABASE": "postgres",
    }
    *as_whom, _ = program_of("psql")
    return subprocess.run([*as_whom, *command], env=env, capture_output=True, text=True, timeout=120)


def write(server: PostgresServer, stopping: Event) -> None:
    """Write datapoints as the ingestor does, holding the horizon, until told to stop."""
    start, number = datetime(2026, 1, 15, tzinfo=UTC), 0
    with connect(server.url) as conn:
        while not stopping.wait(0.005):
            with conn.transaction():
                conn.execute("SELECT FROM rollup_horizon FOR SHARE")
                conn.execute(
                    "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) VALUES (1, 55, %s, 1, 1)",
                    [start + timedelta(seconds=number)],
                )
            number += 1


def test_what_was_written_until_a_moment_of_now_comes_back_while_more_is_written(
    backed_up: tuple[PostgresServer, Path],
) -> None:
    server, directory = backed_up
    for command in ("stanza-create", "backup"):
        done = run(backed_up, "pgbackrest", "--log-level-console=warn", command)
        assert done.returncode == 0, done.stdout + done.stderr
    stopping = Event()
    writer = Thread(target=write, args=[server, stopping])
    writer.start()
    try:
        drilled = run(backed_up, SCRIPTS / "restore-drill.sh", directory / "drill")
    finally:
        stopping.set()
        writer.join()

    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    assert "equal: the backups bring everything back" in drilled.stdout
    ((count,),) = server.execute("SELECT count(*) FROM datapoints")
    (line,) = [line for line in drilled.stdout.splitlines() if line.startswith("datapoints ") and "in days" not in line]
    before, after = (int(word) for word in line.split() if word.isdecimal())
    assert 0 < before == after < int(str(count))
