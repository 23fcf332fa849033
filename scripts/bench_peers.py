"""Ask Almanac, VictoriaMetrics and InfluxDB for the same year over HTTP in one run.

    apt-get install victoria-metrics influxdb
    python -m scripts.bench_peers --database-url postgresql://…/bench

One kit of 20 components that sends once a minute: 10.5 million values. The other two are started on loopback with new
data directories, as their packages set them up otherwise, and filled with the values that Almanac's database holds
(see bench_data.py). Almanac and a peer take turns. Two comparisons: each computes its answer (VictoriaMetrics with
`nocache=1`), and each is asked again by somebody who was answered before: VictoriaMetrics repeats what it has kept,
Almanac says 304 to its ETag.
"""

import argparse
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np

from scripts.bench_data import END, MINUTE_US, SENSORS, load, values, weeks
from scripts.bench_history import ask, history, measure, running_api
from scripts.services import free_port

_DEVICE, _SENSOR = 1, 55
_START_S, _END_S = int((END - timedelta(days=365)).timestamp()), int(END.timestamp())
_HOUR_S, _DAY_S = 3600, 86_400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--redis-url", default="redis://127.0.0.1:1/0", help="nothing here needs it")
    options = parser.parse_args()
    load(options.database_url)
    with ExitStack() as running:
        almanac = connect(running.enter_context(running_api(options.database_url, options.redis_url)))
        victoria = connect(running.enter_context(victoria_metrics()))
        influx = connect(running.enter_context(influxdb()))
        fill(victoria, influx)
        for name, step_s, sensor_ids in (
            ("a year of one component by the hour", _HOUR_S, [_SENSOR]),
            ("a year of one component by the day", _DAY_S, [_SENSOR]),
            ("a year of twenty components by the day", _DAY_S, list(SENSORS)),
        ):
            compare(name, step_s, sensor_ids, almanac, victoria, influx)


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=300)


@contextmanager
def victoria_metrics() -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        options = [f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=10y"]
        with running("victoria-metrics", options, port, "/health"):
            yield port


@contextmanager
def influxdb() -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        env = {
            "INFLUXDB_META_DIR": f"{directory}/meta",
            "INFLUXDB_DATA_DIR": f"{directory}/data",
            "INFLUXDB_DATA_WAL_DIR": f"{directory}/wal",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
            "INFLUXDB_REPORTING_DISABLED": "true",
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
        }
        configuration = Path(directory, "influxdb.conf")
        configuration.touch()
        with running("influxd", ["-config", str(configuration)], port, "/query?q=SHOW+DATABASES", env):
            yield port


@contextmanager
def running(
    program: str, options: list[str], port: int, ready: str, env: dict[str, str] | None = None
) -> Iterator[None]:
    if shutil.which(program) is None:
        raise SystemExit(f"{program} is not installed: apt-get install victoria-metrics influxdb")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([program, *options], env={**os.environ, **(env or {})}, **quiet)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                ask(connect(port), ready)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def fill(victoria: http.client.HTTPConnection, influx: http.client.HTTPConnection) -> None:
    """Send both the year that Almanac holds: a line a component and week, a line a minute: as each likes it best."""
    begun = time.monotonic()
    post(influx, "/query?q=CREATE+DATABASE+bench", b"")
    # Random values are drawn a week at a time: the last year's weeks begin where those of the whole history do.
    for start_us, count in weeks(3):
        minutes = start_us // MINUTE_US + np.arange(count)
        kept = minutes >= _START_S // 60
        if not kept.any():
            continue
        columns = [values(_DEVICE, sensor_id, start_us, count)[kept].tolist() for sensor_id in SENSORS]
        seconds = (minutes[kept] * 60).tolist()
        lines = (
            json.dumps(
                {
                    "metric": {"__name__": "reading", "device": str(_DEVICE), "sensor": str(sensor_id)},
                    "values": column,
                    "timestamps": [second * 1000 for second in seconds],
                }
            )
            for sensor_id, column in zip(SENSORS, columns, strict=True)
        )
        post(victoria, "/api/v1/import", "\n".join(lines).encode())
        rows = zip(seconds, *columns, strict=True)
        names = [f"s{sensor_id}=" for sensor_id in SENSORS]
        points = [
            f"readings,device={_DEVICE} {','.join(map(str.__add__, names, map(repr, row[1:])))} {row[0]}"
            for row in rows
        ]
        post(influx, "/write?db=bench&precision=s", "\n".join(points).encode())
    ask(victoria, "/internal/force_flush")
    print(f"filled in {time.monotonic() - begun:.0f} s", flush=True)
    time.sleep(20)  # let both merge what they got


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")


def compare(
    name: str,
    step_s: int,
    sensor_ids: list[int],
    almanac: http.client.HTTPConnection,
    victoria: http.client.HTTPConnection,
    influx: http.client.HTTPConnection,
) -> None:
    ids = ",".join(map(str, sensor_ids))
    rollup = {_HOUR_S: "1h", _DAY_S: "1d"}[step_s]
    selector = f'reading{{sensor=~"{"|".join(map(str, sensor_ids))}"}}'
    # VictoriaMetrics' window ends at its timestamp, and includes it; ours starts at ours.
    window = {"start": _START_S + step_s - 60, "end": _END_S - 60, "step": f"{step_s}s"}
    means = ",".join(f"mean(s{sensor_id})" for sensor_id in sensor_ids)
    select = f"SELECT {means} FROM readings WHERE time >= {_START_S}s AND time < {_END_S}s GROUP BY time({rollup})"
    calls: dict[str, Callable[[], bytes]] = {
        "Almanac": lambda: history(almanac, _DEVICE, 365, sensor_id=ids, rollup=rollup),
        "VictoriaMetrics": lambda: ask(
            victoria, "/api/v1/query_range", query=f"avg_over_time({selector}[{step_s}s])", nocache=1, **window
        ),
        "InfluxDB": lambda: ask(influx, "/query", db="bench", q=select, epoch="s"),
    }
    again: dict[str, Callable[[], bytes]] = {
        "Almanac": lambda: history(almanac, _DEVICE, 365, sensor_id=ids, rollup=rollup, known=True),
        "VictoriaMetrics": lambda: ask(
            victoria, "/api/v1/query_range", query=f"avg_over_time({selector}[{step_s}s])", **window
        ),
    }
    check(calls, sensor_ids)
    for kind, asked in (("computed", calls), ("asked again", again)):
        # One after the other: InfluxDB, at work for a second, would leave empty caches to both the others.
        for peer in [peer for peer in asked if peer != "Almanac"]:
            ours, theirs = measure(asked["Almanac"], asked[peer])
            print(f"{name}, {kind}: Almanac {ours}, {peer} {theirs}, ratio {ours.over(theirs)}", flush=True)


def check(calls: dict[str, Callable[[], bytes]], sensor_ids: list[int]) -> None:
    """Fail unless all give the same numbers."""
    ours = json.loads(calls["Almanac"]())
    almanac = {
        series["sensor_id"]: [value for _, value in reversed(series["readings"])]
        for series in ours.get("series", [ours])
    }
    result = json.loads(calls["VictoriaMetrics"]())["data"]["result"]
    victoria = {int(series["metric"]["sensor"]): [float(value) for _, value in series["values"]] for series in result}
    rows = json.loads(calls["InfluxDB"]())["results"][0]["series"][0]["values"]
    for number, sensor_id in enumerate(sensor_ids, 1):
        np.testing.assert_allclose(victoria[sensor_id], almanac[sensor_id], rtol=1e-9)
        np.testing.assert_allclose([row[number] for row in rows], almanac[sensor_id], rtol=1e-9)


if __name__ == "__main__":
    main()
