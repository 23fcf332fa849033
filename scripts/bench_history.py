"""Measure history on a native server with 52 million datapoints; every figure is a ratio of two from the same run.

    python -m scripts.bench_history --database-url postgresql://…/bench

The database is filled on the first run (see bench_data.py). The API runs as users run it: gunicorn, two processes of
eight threads, over HTTP on one kept connection a client.
"""

import argparse
import http.client
import os
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
import psycopg

from scripts.bench_data import END, SENSORS, YEARS, load
from scripts.services import free_port
from sql import connect, queries

_SENSOR = 55
_CLIENTS, _SECONDS = 50, 15
# What psycopg alone is asked: the same buckets, with nothing around them.
_HOURLY = """
SELECT bucket, sum / n FROM datapoints_1h
WHERE device_id = %s AND sensor_id = %s AND bucket >= %s AND bucket < %s ORDER BY bucket DESC
"""
# And what history reads of days from the aggregate, computed from the datapoints.
_FROM_RAW = """
SELECT time_bucket('1 day', time) AS bucket, avg(value) FROM datapoints
WHERE device_id = %s AND sensor_id = %s AND time >= %s AND time < %s GROUP BY bucket ORDER BY bucket DESC
"""
_FROM_RAW_WHOLE = """
SELECT
    time_bucket('1 day', time) AS bucket, count(value), sum(value), avg(value), min(value), max(value),
    first(value, time), last(value, time), stddev_samp(value)
FROM datapoints
WHERE device_id = %s AND sensor_id = %s AND time >= %s AND time < %s GROUP BY bucket ORDER BY bucket DESC
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--redis-url", default="redis://127.0.0.1:1/0", help="nothing here needs it")
    parser.add_argument(
        "--kit-years", type=int, default=5, help="1 for the embedded database; 10.5 million datapoints each"
    )
    options = parser.parse_args()
    years = YEARS if options.kit_years >= 5 else {1: options.kit_years}
    print(f"{load(options.database_url, years):,} datapoints")
    with running_api(options.database_url, options.redis_url) as port:
        hourly_year(options.database_url, port)
        daily(options.database_url, port, max(years.values()))
        dashboards(port, list(years))


@contextmanager
def running_api(database_url: str, redis_url: str) -> Iterator[int]:
    """The API on a free port."""
    port = free_port()
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": secrets.token_urlsafe(32)}
    env["RATE_LIMIT_ANONYMOUS"] = "0"
    command = [str(Path(sys.executable).with_name("almanac")), "serve", "--port", str(port)]
    api = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                if ask(http.client.HTTPConnection("127.0.0.1", port), "/healthz"):
                    break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        api.terminate()
        api.wait()


def ask(connection: http.client.HTTPConnection, path: str, **query: Any) -> bytes:
    """Return the body of an answer; a kept connection that the server has closed is opened again, as browsers do."""
    target = f"{path}?{urlencode(query)}" if query else path
    for last_try in (False, True):
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            body = answer.read()
            break
        except ConnectionError:
            connection.close()
            if last_try:
                raise
    if answer.status != 200:
        raise RuntimeError(f"{target}: {answer.status} {body[:200]!r}")
    return body


def history(connection: http.client.HTTPConnection, device_id: int, days: int, **query: Any) -> bytes:
    """Ask for the days up to the end of the data."""
    window = {"from": f"{END - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}", "to": f"{END - timedelta(seconds=1):%FT%TZ}"}
    return ask(connection, f"/v0/devices/{device_id}/readings", **window, **query)


class Taken(NamedTuple):
    """How long calls took, in milliseconds; on a machine that others use too the fastest says more."""

    median: float
    fastest: float

    @classmethod
    def of(cls, milliseconds: list[float]) -> "Taken":
        return cls(statistics.median(milliseconds), min(milliseconds))

    @classmethod
    def of_runs(cls, runs: "list[Taken]") -> "Taken":
        return cls(statistics.median(run.median for run in runs), min(run.fastest for run in runs))

    def __str__(self) -> str:
        return f"{self.median:.2f} ms (fastest {self.fastest:.2f})"

    def over(self, other: "Taken") -> str:
        """Say how many times as long this is."""
        return f"{self.median / other.median:.2f} (fastest {self.fastest / other.fastest:.2f})"


def measure(*calls: Callable[[], Any], rounds: int = 9, in_a_row: int = 5) -> list[Taken]:
    """Call each some times in a row, round after round: so what else the machine does meets them all alike, and nobody
    pays each time for what the other has thrown out of the processor's caches.
    """
    taken: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, its in zip(calls, taken, strict=True):
            its += times(call, in_a_row)
    return [Taken.of(its) for its in taken]


def times(call: Callable[[], Any], count: int) -> list[float]:
    """Return how long each of so many calls in a row took, in milliseconds."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def hourly_year(database_url: str, port: int) -> None:
    """A year by the hour: over HTTP, and by psycopg alone."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    where = [1, _SENSOR, END - timedelta(days=365), END]
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        alone, answered = measure(
            lambda: conn.execute(_HOURLY, where).fetchall(),
            lambda: history(connection, 1, 365, sensor_id=_SENSOR, rollup="1h"),
        )
    print(f"hourly year: HTTP {answered}, psycopg alone {alone}, ratio {answered.over(alone)}; at most 2")


def daily(database_url: str, port: int, years: int) -> None:
    """Ranges by the day, each on its own connection: what history asks the aggregate, and the same from datapoints."""
    for days in (30, 365, 365 * years):
        start = END - timedelta(days=days)
        where = {"device_id": 1, "sensor_ids": np.array([_SENSOR], np.int32), "start": start, "before": END}
        for name, stored, raw in (
            ("avg", queries.segment_1d, _FROM_RAW),
            ("all eight", queries.segment_1d_whole, _FROM_RAW_WHOLE),
        ):
            with connect(database_url) as conn:
                short, long = measure(
                    lambda: stored(conn, **where),  # noqa: B023
                    lambda: conn.execute(raw, [1, _SENSOR, start, END], prepare=True, binary=True).fetchall(),  # noqa: B023
                    rounds=5,
                )
            print(f"{days} days by the day, {name}: aggregate {short}, raw {long}, factor {long.over(short)}")
    connection = http.client.HTTPConnection("127.0.0.1", port)
    everything = ",".join(map(str, SENSORS))
    one, together = measure(
        lambda: history(connection, 1, 365, sensor_id=_SENSOR, rollup="1d"),
        lambda: history(connection, 1, 365, sensor_id=everything, rollup="1d"),
    )
    print(f"a year by the day over HTTP: one component {one}, twenty in one call {together}")


def dashboards(port: int, device_ids: list[int]) -> None:
    """Fifty clients ask for mixed ranges as fast as they are answered."""
    questions = [(1, "1m"), (7, "15m"), (30, "1h"), (365, "1d"), (365, "1h"), (1, "0s"), (90, "6h"), (30, "1d")]
    taken: list[float] = []
    end = time.monotonic() + _SECONDS

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        turn = number
        while time.monotonic() < end:
            days, rollup = questions[turn % len(questions)]
            begun = time.perf_counter()
            sensor_id = SENSORS[turn % len(SENSORS)]
            history(connection, device_ids[turn % len(device_ids)], days, sensor_id=sensor_id, rollup=rollup)
            taken.append(time.perf_counter() - begun)
            turn += 7

    clients = [threading.Thread(target=client, args=(number,)) for number in range(_CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    taken.sort()
    print(
        f"{_CLIENTS} dashboards: {len(taken) / _SECONDS:.0f} requests/s, "
        f"median {statistics.median(taken) * 1000:.0f} ms, p95 {taken[int(len(taken) * 0.95)] * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
