"""What calibration costs: at ingest, for the redo of history, for a preview, and for refusing what is no equation.

    python -m scripts.bench_calibration [--server postgresql://…] [--days 30] [--batches 20]

Without --server it runs on the embedded TimescaleDB. Ingest is measured from the messages' bytes to the commit, each
batch against one without calibration just before or after it, so that what else the machine does falls on both alike.
On a local server the processor time of its process for our connection is measured too: `per_cpu_second` is what one
free processor would do in a second.
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
from ingestor.intake import read_early, read_messages
from ingestor.known import Known
from scripts import services
from scripts.bench_platform import database, make_devices
from scripts.bench_publisher import SENSORS, json_payload
from scripts.supervisor import running
from sql import DictConnection, connect, queries

_DEVICES = 50  # of each kind
_MESSAGES = 500  # a batch
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_SUSPECTS = ("9" * 4000, "9" + "**9" * 1300, "-" * 3999 + "1", "abs(" * 900, "raw" + "+1" * 1990, "raw+" * 262_144)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    parser.add_argument("--days", type=int, default=30, help="of history to redo, of 10 devices [%(default)s]")
    parser.add_argument(
        "--batches", type=int, default=20, help="rounds at ingest, a batch of each kind in each [%(default)s]"
    )
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
        return time.process_time() + (_scheduled_s(self._pid) if self._pid else 0)


def _scheduled_s(pid: int) -> float:
    """Processor time of a process to the nanosecond: a batch takes few of the ticks that others count."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def ingest(conn: DictConnection, batches: int) -> dict[str, Any]:
    """Write batches without and with equations; the cost is what one takes more than one without beside it.

    Each round writes two batches of every kind, with and without calibration, once the one first and once the other.
    They differ in nothing else: they hold the same numbers, of devices that lie between each other in the table. Those
    of the kind `off` both go without: they show by how much figures differ where nothing does.
    """
    kinds: dict[str, Callable[[int], list[str]]] = {
        "off": lambda number: [],
        "none_in_force": lambda number: [],
        "every_component_by_kit": lambda number: [f"raw * 1.02 - {number}"],
        "one_component_by_kit_with_an_input": lambda number: ["raw - 0.3 * (t - 25)"] if number == 4 else [],
        "every_component_of_each_device": lambda number: [],
    }
    names = [name for kind in kinds for name in (kind, f"{kind} beside")]
    tokens = [f"{kind}{number}" for number in range(_DEVICES) for kind in names]
    device_ids = make_devices(conn, tokens)
    for place, name in enumerate(names):
        own = device_ids[place :: len(names)]
        kit_id = queries.insert_kit(conn, slug=f"bench-{place}", name=name, description="", owner_id=None)
        keys = ["t" if sensor == 55 else f"k{sensor}" for sensor in SENSORS]
        queries.insert_kit_components(
            conn,
            kit_id=kit_id,
            sensor_ids=list(SENSORS),
            keys=keys,
            intervals=[None] * len(SENSORS),
            enabled=[True] * len(SENSORS),
        )
        conn.execute("UPDATE devices SET kit_id = %s WHERE id = ANY(%s)", [kit_id, own])
        for number, sensor_id in enumerate(SENSORS):
            for equation in kinds.get(name, kinds["off"])(number):
                add_version(conn, sensor_id, equation, kit_id=kit_id)
            if name == "every_component_of_each_device":
                for device_id in own:
                    add_version(conn, sensor_id, f"raw * {secrets.randbelow(1000) / 1000} + 1", device_id=device_id)

    known, write = Known(), writer.Writer(Known())
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10 * (batches + 1))
    values = np.round(np.random.default_rng(6).uniform(0, 100, (_MESSAGES, len(SENSORS))), 2)

    def batch(name: str, number: int) -> Work:
        messages = [
            read_early(
                f"device/sck/{name}{place % _DEVICES}/readings",
                json_payload(start + timedelta(minutes=10 * number + place // _DEVICES), values[place]),
            )
            for place in range(_MESSAGES)
        ]
        calibrated = name in kinds and name != "off"
        off = mock.MagicMock() if calibrated else mock.patch.object(writer, "calibrate", _uncalibrated)
        work = Work(conn)
        with off, work.of(_MESSAGES * len(SENSORS)):
            write.write(conn, read_messages(conn, messages, known, datetime.now(UTC)))
        return work

    works: dict[str, list[Work]] = {name: [] for name in names}
    for number in range(batches + 1):
        for kind in kinds:
            pair = (kind, f"{kind} beside")
            for name in pair if number % 2 else reversed(pair):
                works[name].append(batch(name, number))
    figures = {}
    for kind in kinds:
        pairs = zip(works[kind][1:], works[f"{kind} beside"][1:], strict=True)  # the first make components and chunks
        cost = spread([work.cost / beside.cost - 1 for work, beside in pairs])
        figures[kind] = median_of(works[kind][1:]) | {"cost": cost}
    return figures


def median_of(works: list[Work]) -> dict[str, int]:
    return {key: round(statistics.median(work.figures()[key] for work in works)) for key in works[0].figures()}


def spread(figures: list[float]) -> dict[str, float]:
    """The median and the quartiles."""
    low, middle, high = statistics.quantiles(figures, n=4)
    return {"median": round(middle, 3), "from": round(low, 3), "to": round(high, 3)}


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
    conn.execute("VACUUM ANALYZE datapoints")  # as any history has been: else the redo pays for what is read first
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
