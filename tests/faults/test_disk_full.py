"""A disk that is really full: what is not on it is not acknowledged, and all comes right once there is room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import RunningBroker, RunningIngestor
from fleet import Device, Fleet
from postgres_servers import PostgresServer, prepare_server, server_directory, start_server
from waiting import wait_for

from ingestor.tokens import hash_token
from sql import connect, queries

SIZE = 8 * 1024 * 1024


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of its own, of a few megabytes, that PostgreSQL may write to."""
    with server_directory() as directory:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", directory], capture_output=True
        )
        if mounted.returncode:
            pytest.skip(f"no disk of its own to be filled: {mounted.stderr.decode().strip()}")
        try:
            space = directory / "space"
            space.mkdir()
            shutil.chown(space, "nobody", "nogroup")
            yield space
        finally:
            subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture
def server(disk: Path) -> Iterator[PostgresServer]:
    """A server whose datapoints are on that disk, and nothing else."""
    with server_directory() as directory:
        server = start_server(directory / "server")
        try:
            prepare_server(server)
            server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            server.execute("ALTER TABLE datapoints SET TABLESPACE small")
            yield server
        finally:
            server.stop()


def fill(filler: Path) -> None:
    """Write a file until no page is left."""
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(2 * SIZE))
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(bytes(1)):
            pass


def test_a_full_disk_is_told_and_outlived(server: PostgresServer, disk: Path, broker: RunningBroker) -> None:
    token = f"full-disk-{os.getpid()}"
    with connect(server.url) as conn:
        (owner,) = conn.execute(
            "INSERT INTO users (username, email, password_hash) VALUES ('ada', 'ada@example.org', '') RETURNING id"
        ).fetchall()
        (device,) = conn.execute(
            "INSERT INTO devices (owner_id, name) VALUES (%s, 'Balcony') RETURNING id", [owner["id"]]
        ).fetchall()
        queries.insert_device_token(conn, device_id=device["id"], hash=hash_token(token), sealed=None, expires_at=None)
        fleet = Fleet(broker, [Device(device["id"], token)])
        ingestor = RunningIngestor(server.url, broker.platform_url)
        ingestor.start()
        try:
            ingestor.wait_until_ready()
            filler = disk.parent / "filler"
            fill(filler)
            fleet.publish(1000)
            fleet.settle()
            wait_for(lambda: any("No space left" in line and "next_try_s" in line for line in ingestor.last_lines))
            before = len(fleet.stored(conn))
            assert before < len(fleet.sent)
            filler.unlink()

            fleet.check(conn)
        finally:
            ingestor.stop()
            fleet.close()
