"""Compare the file of an export with COPY (SELECT …) TO STDOUT of the same datapoints, which only hands them out.

    python -m scripts.bench_exports --server postgresql://… [--millions 1 10 50] [--keep NAME]

Makes a database on the server with one device of 15 components that sends every 20 seconds, as many datapoints as the
largest size; the newest four weeks stay in the row store, as in production. Each file is made by a process of its own
with the worker's code, from database to finished file, metadata and checksum included. `ratio` is COPY's seconds by
the file's: 0.3 is the floor for CSV. Both read in the order of the file: by time in the wide
layout, by sensor and time in the long one.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg

from app.config import Config
from app.exports.make import make
from app.seed import seed
from sql import connect, open_pool, queries
from sql.migrate import migrate

START = datetime(2023, 10, 1, tzinfo=UTC)
COMPONENTS, EVERY = 15, timedelta(seconds=20)
ORDERS = {"wide": "time, sensor_id", "long": "sensor_id, time"}
FILES = [(file_format, layout) for file_format in ("csv", "parquet") for layout in ORDERS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="a PostgreSQL server with TimescaleDB")
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10], help="datapoints of a file [1 10]")
    parser.add_argument("--keep", help="use this database again, and make it where it is missing")
    parser.add_argument("--file", nargs=4, help=argparse.SUPPRESS)  # what the process of its own is told
    arguments = parser.parse_args()
    if arguments.file:
        print(json.dumps(one_file(arguments.server, *arguments.file)))
        return
    with database(arguments.server, arguments.keep, max(arguments.millions)) as url:
        for millions in sorted(arguments.millions):
            print(json.dumps(compare(url, millions), indent=2), flush=True)


def compare(url: str, millions: float) -> dict[str, Any]:
    """Return the figures of one size."""
    before = START + EVERY * round(millions * 1e6 / COMPONENTS)
    figures: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "million_datapoints": millions,
    }
    with connect(url) as conn:
        device = conn.execute("SELECT id FROM devices WHERE name = 'Bench'").fetchone()
        assert device is not None
        copies = {layout: copy_seconds(conn, device["id"], before, order) for layout, order in ORDERS.items()}
    for file_format, layout in FILES:
        asked = [str(device["id"]), before.isoformat(), file_format, layout]
        command = [sys.executable, "-m", "scripts.bench_exports", "--server", url, "--file", *asked]
        made = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        copy = copies[layout]
        figures[f"{file_format} {layout}"] = {
            **made,
            "copy_seconds": round(copy, 2),
            "ratio": round(copy / made["seconds"], 2),
        }
    return figures


def copy_seconds(conn: psycopg.Connection[Any], device_id: int, before: datetime, order: str) -> float:
    started = time.monotonic()
    query = (
        "COPY (SELECT sensor_id, time, value FROM datapoints WHERE device_id = %s AND time < %s "
        f"ORDER BY {order}) TO STDOUT (FORMAT csv)"
    )
    with conn.cursor().copy(query.encode(), (device_id, before)) as copy:
        for _ in copy:
            pass
    return time.monotonic() - started


def one_file(url: str, device_id: str, before: str, file_format: str, layout: str) -> dict[str, Any]:
    """Make a file as a worker does, and say what it took."""
    asked = {
        "from": None,
        "to": (datetime.fromisoformat(before) - timedelta(microseconds=1)).isoformat(),
        "sensors": [],
        "rollup": None,
        "function": "avg",
        "tz": "Europe/Madrid",
        "layout": layout,
        "format": file_format,
        "values": "value",
    }
    config = Config(url, "redis://127.0.0.1:1/0", "s" * 32, pool_size=2)
    started = time.monotonic()
    with open_pool(url, max_size=2) as pool, tempfile.TemporaryFile() as file:
        with pool.connection() as conn:
            devices = queries.exportable_devices(conn, ids=[int(device_id)], viewer_id=None, viewer_is_admin=True)
        made = make(config, pool, asked, devices, "bench", file, lambda share: None)
    return {
        "seconds": round(time.monotonic() - started, 2),
        "rows": made.rows,
        "file_mb": round(made.bytes / 1e6, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


@contextmanager
def database(server: str, keep: str | None, millions: float) -> Iterator[str]:
    name = keep or f"bench_exports_{os.getpid()}"
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(server, autocommit=True) as conn:
        if conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            conn.execute(f"CREATE DATABASE {name}".encode())
            fill(url, millions)
        try:
            yield url
        finally:
            if not keep:
                conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def fill(url: str, millions: float) -> None:
    migrate(url)
    end = START + EVERY * round(millions * 1e6 / COMPONENTS)
    with psycopg.connect(url, autocommit=True) as conn:
        seed(conn)
        conn.execute(
            """
            WITH owner AS (
                INSERT INTO users (username, email, password_hash) VALUES ('bench', 'bench@example.org', '')
                RETURNING id
            ),
            device AS (INSERT INTO devices (owner_id, name) SELECT id, 'Bench' FROM owner RETURNING id)
            INSERT INTO components (device_id, sensor_id, key)
            SELECT device.id, s.id, 'k' || s.id
            FROM device, (SELECT id FROM sensors WHERE measurement_id IS NOT NULL ORDER BY id LIMIT %s) AS s
            """,
            [COMPONENTS],
        )
        conn.execute(
            """
            INSERT INTO datapoints (device_id, sensor_id, time, raw, value)
            SELECT device_id, sensor_id, t, v, v
            FROM components, generate_series(%s, %s - INTERVAL '1 second', %s) AS t,
                LATERAL (
                    SELECT round((sensor_id + 10 * sin(extract(EPOCH FROM t) / 13751) + random())::numeric, 2)::float8
                ) AS r (v)
            """,
            [START, end, EVERY],
        )
        older = [end - timedelta(weeks=4)]
        conn.execute("SELECT compress_chunk(c) FROM show_chunks('datapoints', older_than => %s) AS c", older)
        conn.execute("VACUUM ANALYZE datapoints")


if __name__ == "__main__":
    main()
