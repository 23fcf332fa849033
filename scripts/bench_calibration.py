"""What calibration costs: at ingest, for the redo of history, for a preview, and for refusing what is no equation.

    python -m scripts.bench_calibration [--server postgresql://…] [--days 30] [--batches 20]

Without --server it runs on the embedded TimescaleDB. Ingest is measured from the messages' bytes to the commit, batches
of several kinds in turn, so that what else the machine does falls on all alike. On a local server the processor time
of its process for our connection is measured too: `per_cpu_second` is what one free processor would do in a second.
Prints one JSON object.
"""

import argparse
import json
import os
import platform
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from app.config import Config
from app.factory import create_app
from app.jobs import recalibrate
from ingestor import writer
from ingestor.columns import Columns
from ingestor.equation import EquationError, compile_equation
from ingestor.intake import Message, read_messages
from ingestor.known import Known
from scripts import services
from scripts.bench_ingest import SENSORS, cpu_seconds, database, json_payload, make_devices, running
from sql import DictConnection, connect, queries

_DEVICES = 50  # of each kind
_MESSAGES = 500  # a batch
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_SUSPECTS = ("9" * 4000, "9" + "**9" * 1300, "-" * 3999 + "1", "abs(" * 900, "raw" + "+1" * 1990, "raw+" * 262_144)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    parser.add_argument("--days", type=int, default=30, help="of history to redo, of 10 devices [%(default)s]")
    parser.add_argument("--batches", type=int, default=20, help="of each kind at ingest [%(default)s]")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(arguments.server, directory))
        redis = services.redis(directory / "redis", port := services.free_port())
        stack.enter_context(running(redis))
        config = Config(url, f"redis://127.0.0.1:{port}/0", secrets.token_urlsafe(32), pool_size=2)
        conn = stack.enter_context(connect(url))
        for job in conn.execute("SELECT job_id FROM timescaledb_information.jobs WHERE job_id >= 1000").fetchall():
            conn.execute("SELECT alter_job(%s, scheduled => false)", [job["job_id"]])  # nothing runs beside us
        figures = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "database": server_version(conn),
            "refusal_slowest_ms": round(max(map(refusal_ms, _SUSPECTS)), 2),
            "ingest": ingest(conn, arguments.batches),
            **history(conn, config, arguments.days),
        }
        print(json.dumps(figures, indent=2))


def server_version(conn: DictConnection) -> str:
    row = conn.execute(
        "SELECT current_setting('server_version') AS server, extversion FROM pg_extension WHERE extname = 'timescaledb'"
    ).fetchone()
    assert row is not None
    return f"PostgreSQL {row['server']}, TimescaleDB {row['extversion']}"


def refusal_ms(text: str) -> float:
    started = time.process_time()
    try:
        compile_equation(text)
    except EquationError:
        return (time.process_time() - started) * 1e3
    raise AssertionError(f"{text[:40]} was taken for an equation")


class Work:
    """Rows, seconds, and the processor time of this process and of the database's for one connection."""

    def __init__(self, conn: DictConnection) -> None:
        row = conn.execute("SELECT pg_backend_pid() AS pid").fetchone()
        self._pid = row["pid"] if row and "postgres" in _command(row["pid"]) else None
        self.rows, self.seconds, self.cpu_s = 0, 0.0, 0.0

    @contextmanager
    def of(self, rows: int) -> Iterator[None]:
        started, cpu = time.perf_counter(), self._cpu()
        yield
        self.rows, self.seconds = self.rows + rows, self.seconds + time.perf_counter() - started
        self.cpu_s += self._cpu() - cpu

    def figures(self) -> dict[str, Any]:
        figures = {"datapoints": self.rows, "per_second": round(self.rows / self.seconds)}
        return figures | ({"per_cpu_second": round(self.rows / self.cpu_s)} if self._pid else {})

    @property
    def cost(self) -> float:
        """Of one datapoint: processor time where we see the server's, else time."""
        return (self.cpu_s if self._pid else self.seconds) / self.rows

    def _cpu(self) -> float:
        return time.process_time() + (cpu_seconds(self._pid) if self._pid else 0)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def ingest(conn: DictConnection, batches: int) -> dict[str, Any]:
    """Write batches without and with equations; the cost is what a datapoint takes more than without."""
    kinds: dict[str, Callable[[int], list[str]]] = {
        "off": lambda number: [],
        "none_in_force": lambda number: [],
        "every_component_by_kit": lambda number: [f"raw * 1.02 - {number}"],
        "one_component_by_kit_with_an_input": lambda number: ["raw - 0.3 * (t - 25)"] if number == 4 else [],
        "every_component_of_each_device": lambda number: [],
    }
    tokens = [f"{kind}{number}" for kind in kinds for number in range(_DEVICES)]
    device_ids = make_devices(conn, tokens)
    works, senders = {}, {}
    for place, (kind, equations) in enumerate(kinds.items()):
        works[kind], mine = Work(conn), slice(place * _DEVICES, (place + 1) * _DEVICES)
        senders[kind] = tokens[mine]
        kit_id = queries.insert_kit(conn, slug=f"bench-{place}", name=kind, description="", owner_id=None)
        keys = ["t" if sensor == 55 else f"k{sensor}" for sensor in SENSORS]
        queries.insert_kit_components(
            conn,
            kit_id=kit_id,
            sensor_ids=list(SENSORS),
            keys=keys,
            intervals=[None] * len(SENSORS),
            enabled=[True] * len(SENSORS),
        )
        conn.execute("UPDATE devices SET kit_id = %s WHERE id = ANY(%s)", [kit_id, device_ids[mine]])
        for number, sensor_id in enumerate(SENSORS):
            for equation in equations(number):
                add_version(conn, sensor_id, equation, kit_id=kit_id)
            if kind == "every_component_of_each_device":
                for device_id in device_ids[mine]:
                    add_version(conn, sensor_id, f"raw * {secrets.randbelow(1000) / 1000} + 1", device_id=device_id)

    known, write = Known(), writer.Writer(Known())
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10 * (batches + 1))
    values = np.round(np.random.default_rng(6).uniform(0, 100, (_MESSAGES, len(SENSORS))), 2)
    for batch in range(batches + 1):
        turn = batch % len(kinds)  # who comes first pays for what the one before left to do
        for kind in [*kinds][turn:] + [*kinds][:turn]:
            names = senders[kind]
            messages = [
                Message(
                    f"device/sck/{names[number % _DEVICES]}/readings",
                    json_payload(start + timedelta(minutes=10 * batch + number // _DEVICES), values[number]),
                )
                for number in range(_MESSAGES)
            ]
            off = mock.patch.object(writer, "calibrate", _uncalibrated) if kind == "off" else mock.MagicMock()
            work = works[kind] if batch else Work(conn)  # the first makes components and chunks
            with off, work.of(_MESSAGES * len(SENSORS)):
                write.write(conn, read_messages(conn, messages, known, datetime.now(UTC)))
    costs = {kind: round(work.cost / works["off"].cost - 1, 4) for kind, work in works.items()}
    return {kind: work.figures() | {"cost": costs[kind]} for kind, work in works.items()}


def _uncalibrated(conn: DictConnection, rows: Columns, *_: Any) -> tuple[Columns, Columns]:
    return rows, rows.take(slice(0, 0))


def add_version(conn: DictConnection, sensor_id: int, equation: str, **scope: int) -> int:
    calibration_id: int = queries.insert_calibration(
        conn,
        **{"kit_id": None, "device_id": None, **scope},
        sensor_id=sensor_id,
        valid_from=_BEGINNING,
        equation=equation,
        inputs=sorted(compile_equation(equation).inputs),
        note="",
        author_id=None,
    )
    return calibration_id


def history(conn: DictConnection, config: Config, days: int) -> dict[str, Any]:
    """Redo a device's history from the columnstore and from the row store, and preview a week of it."""
    owner = conn.execute("SELECT id FROM users WHERE username = 'bench'").fetchone()
    assert owner is not None
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    conn.execute("INSERT INTO devices (owner_id, name) SELECT %s, 'redo' FROM generate_series(1, 10)", [owner["id"]])
    ids = [row["id"] for row in conn.execute("SELECT id FROM devices WHERE name = 'redo' ORDER BY id").fetchall()]
    conn.execute(
        "INSERT INTO components (device_id, sensor_id, key, latest_time)"
        " SELECT d, s, coalesce(default_key, 'k' || s), %s FROM unnest(%s::integer[]) AS d"
        " CROSS JOIN unnest(%s::integer[]) AS s JOIN sensors ON sensors.id = s",
        [end, ids, list(SENSORS)],
    )
    for day in range(days):
        conn.execute(
            "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) SELECT d, s, t, r, r"
            " FROM generate_series(%s::timestamptz, %s::timestamptz, '1 minute') AS t"
            " CROSS JOIN unnest(%s::integer[]) AS d CROSS JOIN unnest(%s::integer[]) AS s"
            " CROSS JOIN LATERAL (SELECT round((d + s + 20 * random())::numeric, 2)::double precision) AS x (r)",
            [end - timedelta(days=days - day), end - timedelta(days=days - day - 1, minutes=1), ids, list(SENSORS)],
        )
    conn.execute("ANALYZE datapoints")
    figures: dict[str, Any] = {"redo_row_store": redo(conn, config, ids[0])}
    chunks = conn.execute(
        "SELECT format('%%I.%%I', chunk_schema, chunk_name) AS chunk FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'datapoints' AND range_start < %s",
        [end],
    )
    for row in chunks.fetchall():
        conn.execute("CALL convert_to_columnstore(%s::regclass)", [row["chunk"]])
    figures["redo_columnstore"] = redo(conn, config, ids[1])
    figures["preview_week_ms"] = preview_ms(config, conn, ids[2])
    return figures


def redo(conn: DictConnection, config: Config, device_id: int) -> dict[str, Any]:
    """Redo all components of a device, one after the other, as a worker does."""
    for sensor_id in SENSORS:
        queries.insert_recalibrations_of(
            conn, calibration_id=add_version(conn, sensor_id, "raw * 1.03 - ln(2)", device_id=device_id)
        )
    rows = conn.execute("SELECT count(*) AS n FROM datapoints WHERE device_id = %s", [device_id]).fetchone()
    assert rows is not None
    work, deadline = Work(conn), time.monotonic() + 3600
    with work.of(rows["n"]):
        while (taken := recalibrate._take(conn)) is not None:
            recalibrate._work_on(conn, taken, deadline)
    done = conn.execute(
        "SELECT sum(changed) AS n FROM recalibrations WHERE device_id = %s AND state = 'done'", [device_id]
    ).fetchone()
    assert done is not None
    assert done["n"] == rows["n"]
    return work.figures()


def preview_ms(config: Config, conn: DictConnection, device_id: int) -> float:
    """Ask the API for a preview of a week with a reference, and return the median of nine answers."""
    client = create_app(config).test_client()
    account = {"username": "previewer", "email": "previewer@example.org", "password": secrets.token_urlsafe(16)}
    assert client.post("/v0/users", json=account).status_code == 201
    token = client.post("/v0/sessions", json=account).json["access_token"]
    asked = {"sensor_id": 55, "equation": "raw * 1.03 - 0.1 * (h - 50)", "reference_device_id": device_id + 1}
    taken = []
    for _ in range(9):
        started = time.perf_counter()
        answer = client.post(
            f"/v0/devices/{device_id}/calibrations/preview", json=asked, headers={"Authorization": f"Bearer {token}"}
        )
        taken.append((time.perf_counter() - started) * 1e3)
        assert answer.status_code == 200, answer.text
        assert len(answer.json["readings"]) >= 10_000
    return round(statistics.median(taken), 1)


if __name__ == "__main__":
    main()
