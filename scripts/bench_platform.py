"""What a benchmark starts, a database of its own and processes, and what their log and the kernel say of them."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from app.seed import seed
from ingestor.tokens import hash_token
from scripts import services
from scripts.supervisor import running
from sql import DictConnection, queries
from sql.migrate import migrate


@contextmanager
def database(server: str | None, directory: Path) -> Iterator[str]:
    """A migrated and seeded database: a new one on the server, or the embedded one."""
    if server:
        name = f"almanac_bench_{os.getpid()}"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
            try:
                yield prepared(urlsplit(server)._replace(path=f"/{name}").geturl())
            finally:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]
    else:
        port = services.free_port()
        with running(services.database(directory / "database", port)):
            yield prepared(services.database_url(port))


def prepared(url: str) -> str:
    migrate(url)
    with psycopg.connect(url, prepare_threshold=None) as connection:
        seed(connection)
    return url


def make_devices(conn: DictConnection, tokens: list[str]) -> list[int]:
    owner = conn.execute(
        "INSERT INTO users (username, email, password_hash) VALUES ('bench', 'bench@example.org', '') RETURNING id"
    ).fetchone()
    assert owner is not None
    ids = []
    for token in tokens:
        row = conn.execute(
            "INSERT INTO devices (owner_id, name) VALUES (%s, %s) RETURNING id", (owner["id"], token)
        ).fetchone()
        assert row is not None
        ids.append(row["id"])
        queries.insert_device_token(conn, device_id=row["id"], hash=hash_token(token), sealed=None, expires_at=None)
    return ids


class Ledger:
    """What the log of a daemon with LOG_LEVEL=DEBUG says."""

    def __init__(self) -> None:
        self.accounted = 0
        self.batches = 0
        self.last = time.monotonic()

    def read(self, line: str) -> None:
        if '"event":"batch"' in line:
            batch = json.loads(line)
            self.accounted += batch["stored"] + batch["duplicate"]
            self.batches += 1
            self.last = time.monotonic()
        elif not any(f'"event":"{usual}"' in line for usual in ("subscribed", "written")):
            print(line, file=sys.stderr)


def cpu_of_each(conn: DictConnection, broker: int, ingestor: int) -> dict[str, float]:
    """Processor time so far of all who share the machine, the database's as far as it is the ingestor's connections."""
    backends = conn.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall()
    return {
        "publisher": time.process_time(),
        "broker": cpu_seconds(broker),
        "ingestor": cpu_seconds(ingestor),
        "database": sum(cpu_seconds(row["pid"]) for row in backends),
    }


def cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def peak_mb(pid: int) -> int:
    """The largest of a process and its children."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(status.split("VmHWM:")[1].split()[0]) // 1024
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return max([own, *(peak_mb(int(child)) for child in children)])
