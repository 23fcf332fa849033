"""Ask Almanac, VictoriaMetrics and InfluxDB for the same year over HTTP in one run.

    apt-get install victoria-metrics influxdb wrk
    python -m scripts.bench_peers --database-url postgresql://…/bench

One kit of 20 components that sends once a minute: 10.5 million values. The peers run on loopback with new data
directories, as their packages set them up otherwise, and are filled with the values that Almanac's database holds (see
bench_data.py). They are asked in turns, so that what else the machine does meets them all alike, and are stopped while
another is asked: two that were idle made ours a quarter slower. Two questions: each computes its answer
(VictoriaMetrics with `nocache=1`), and each is asked again by somebody who was answered before: VictoriaMetrics repeats
what it has kept, Almanac says 304 to its ETag. wrk asks, on one kept connection, since http.client takes 0.3 ms a call
itself.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np

from scripts.bench_data import END, MINUTE_US, SENSORS, load, values, weeks
from scripts.bench_history import Taken, ask, running_api
from scripts.services import free_port

_DEVICE, _SENSOR = 1, 55
_START_S, _END_S = int((END - timedelta(days=365)).timestamp()), int(END.timestamp())
_QUESTIONS = {
    "a year of one component by the hour": (3600, "1h", [_SENSOR]),
    "a year of one component by the day": (86_400, "1d", [_SENSOR]),
    "a year of twenty components by the day": (86_400, "1d", list(SENSORS)),
}
_SECONDS, _TURNS = 3, 4  # of each question
_REPORT = """
done = function(summary, latency)
    io.write(string.format("%d %g %g", summary.errors.status, latency:percentile(50) / 1000, latency.min / 1000))
end
"""

Connection = http.client.HTTPConnection
Means = list[list[float]]  # of each component, from the oldest on
Server = tuple[int, subprocess.Popen[bytes] | None]  # its port, and the process to stop while others are asked


class Call(NamedTuple):
    target: str
    if_none_match: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--redis-url", default="redis://127.0.0.1:1/0", help="nothing here needs it")
    options = parser.parse_args()
    load(options.database_url)
    taken: dict[tuple[str, str], dict[str, list[Taken]]] = defaultdict(lambda: defaultdict(list))
    known: dict[str, Means] = {}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(run(options)) for name, (run, _, _) in _PEERS.items()}
        for _ in range(_TURNS):
            for peer, (port, process) in servers.items():
                _, calls_of, means_of = _PEERS[peer]
                with awake(process):
                    for name, (step_s, rollup, sensor_ids) in _QUESTIONS.items():
                        calls = calls_of(connect(port), step_s, rollup, sensor_ids)
                        means = means_of(ask(connect(port), calls["computed"].target), sensor_ids)
                        np.testing.assert_allclose(means, known.setdefault(name, means), rtol=1e-9)
                        for kind, call in calls.items():
                            taken[name, kind][peer].append(timed(port, call))
    for (name, kind), of_peers in taken.items():
        ours = Taken.of_runs(of_peers.pop("Almanac"))
        print(f"{name}, {kind}: Almanac {ours}")
        for peer, runs in of_peers.items():
            theirs = Taken.of_runs(runs)
            print(f"    {peer} {theirs}: ratio {ours.over(theirs)}")


def connect(port: int) -> Connection:
    return Connection("127.0.0.1", port, timeout=300)


@contextmanager
def awake(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Let a server run that stands still otherwise."""
    if process is not None:
        process.send_signal(signal.SIGCONT)
    yield
    if process is not None:
        process.send_signal(signal.SIGSTOP)


def timed(port: int, call: Call) -> Taken:
    """Ask one call after the other for some seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as report:
        report.write(_REPORT)
        report.flush()
        headers = ["-H", f"If-None-Match: {call.if_none_match}"] if call.if_none_match else []
        command = ["wrk", "-t1", "-c1", f"-d{_SECONDS}s", "--timeout=60s", "-s", report.name, *headers]
        said = subprocess.check_output([*command, f"http://127.0.0.1:{port}{call.target}"], text=True)
    failed, median, fastest = said.splitlines()[-1].split()
    if int(failed):
        raise RuntimeError(f"{call.target}: {failed} answers were errors")
    return Taken(float(median), float(fastest))


@contextmanager
def almanac(options: argparse.Namespace) -> Iterator[Server]:
    with running_api(options.database_url, options.redis_url) as port:
        yield port, None


def ask_almanac(connection: Connection, step_s: int, rollup: str, sensor_ids: list[int]) -> dict[str, Call]:
    window = {"from": f"{END - timedelta(days=365):%FT%TZ}", "to": f"{END - timedelta(seconds=1):%FT%TZ}"}
    query = urlencode({"sensor_id": ",".join(map(str, sensor_ids)), "rollup": rollup, **window})
    target = f"/v0/devices/{_DEVICE}/readings?{query}"
    connection.request("GET", target)
    etag = connection.getresponse().headers["ETag"]
    return {"computed": Call(target), "asked again": Call(target, if_none_match=etag)}


def means_of_almanac(body: bytes, sensor_ids: list[int]) -> Means:
    answer = json.loads(body)
    series = {its["sensor_id"]: its["readings"] for its in answer.get("series", [answer])}
    return [[value for _, value in reversed(series[sensor_id])] for sensor_id in sensor_ids]


@contextmanager
def victoria_metrics(_options: argparse.Namespace) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        options = [f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=10y"]
        with running("victoria-metrics", options, port, "/health") as process:
            fill_victoria_metrics(connect(port))
            time.sleep(20)  # let it merge what it got
            process.send_signal(signal.SIGSTOP)
            yield port, process


def fill_victoria_metrics(connection: Connection) -> None:
    """Send the year that Almanac holds, a line a component and week."""
    for seconds, columns in year():
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
        post(connection, "/api/v1/import", "\n".join(lines).encode())
    ask(connection, "/internal/force_flush")


def ask_victoria_metrics(_connection: Connection, step_s: int, _rollup: str, sensor_ids: list[int]) -> dict[str, Call]:
    selector = f'reading{{sensor=~"{"|".join(map(str, sensor_ids))}"}}'
    # Its window ends at its timestamp, and includes it; ours starts at ours.
    window = {"start": _START_S + step_s - 60, "end": _END_S - 60, "step": f"{step_s}s"}
    target = "/api/v1/query_range?" + urlencode({"query": f"avg_over_time({selector}[{step_s}s])", **window})
    return {"computed": Call(f"{target}&nocache=1"), "asked again": Call(target)}


def means_of_victoria_metrics(body: bytes, sensor_ids: list[int]) -> Means:
    result = json.loads(body)["data"]["result"]
    series = {int(its["metric"]["sensor"]): its["values"] for its in result}
    return [[float(value) for _, value in series[sensor_id]] for sensor_id in sensor_ids]


@contextmanager
def influxdb(_options: argparse.Namespace) -> Iterator[Server]:
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
        with running("influxd", ["-config", str(configuration)], port, "/query?q=SHOW+DATABASES", env) as process:
            fill_influxdb(connect(port))
            time.sleep(20)  # let it merge what it got
            process.send_signal(signal.SIGSTOP)
            yield port, process


def fill_influxdb(connection: Connection) -> None:
    """Send the year that Almanac holds, a line a minute."""
    post(connection, "/query?q=CREATE+DATABASE+bench", b"")
    names = [f"s{sensor_id}=" for sensor_id in SENSORS]
    for seconds, columns in year():
        points = [
            f"readings,device={_DEVICE} {','.join(map(str.__add__, names, map(repr, row[1:])))} {row[0]}"
            for row in zip(seconds, *columns, strict=True)
        ]
        post(connection, "/write?db=bench&precision=s", "\n".join(points).encode())


def ask_influxdb(_connection: Connection, _step_s: int, rollup: str, sensor_ids: list[int]) -> dict[str, Call]:
    means = ",".join(f"mean(s{sensor_id})" for sensor_id in sensor_ids)
    select = f"SELECT {means} FROM readings WHERE time >= {_START_S}s AND time < {_END_S}s GROUP BY time({rollup})"
    return {"computed": Call("/query?" + urlencode({"db": "bench", "q": select, "epoch": "s"}))}


def means_of_influxdb(body: bytes, sensor_ids: list[int]) -> Means:
    rows = json.loads(body)["results"][0]["series"][0]["values"]
    return [[row[number] for row in rows] for number in range(1, len(sensor_ids) + 1)]


# How each is run, asked, and understood.
_PEERS: dict[str, tuple[Any, Callable[..., dict[str, Call]], Callable[[bytes, list[int]], Means]]] = {
    "Almanac": (almanac, ask_almanac, means_of_almanac),
    "VictoriaMetrics": (victoria_metrics, ask_victoria_metrics, means_of_victoria_metrics),
    "InfluxDB": (influxdb, ask_influxdb, means_of_influxdb),
}


def year() -> Iterator[tuple[list[int], list[list[float]]]]:
    """Yield the seconds and the values of each component, a week at a time."""
    # Random values are drawn a week at a time: the last year's weeks begin where those of the whole history do.
    for start_us, count in weeks(3):
        minutes = start_us // MINUTE_US + np.arange(count)
        kept = minutes >= _START_S // 60
        if kept.any():
            columns = [values(_DEVICE, sensor_id, start_us, count)[kept].tolist() for sensor_id in SENSORS]
            yield (minutes[kept] * 60).tolist(), columns


@contextmanager
def running(
    program: str, options: list[str], port: int, ready: str, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    if shutil.which(program) is None:
        raise SystemExit(f"{program} is not installed: apt-get install victoria-metrics influxdb wrk")
    environment = {**os.environ, **(env or {})}
    process = subprocess.Popen(
        [program, *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
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
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait()


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")


if __name__ == "__main__":
    main()
