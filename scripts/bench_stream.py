"""Measure what open streams cost one API process: idle listeners beside requests, and from a commit to its event.

    python -m scripts.bench_stream [--server postgresql://…]

Rounds without and with the listeners take turns, so that what else the machine does touches both alike. One process of
eight threads serves; eight clients ask for a device as fast as they are answered; the listeners are a process of their
own. Without --server the embedded database is used.
"""

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import resource
import secrets
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg

from app.seed import seed
from ingestor.batch import Batch
from ingestor.bell import Bell
from ingestor.intake import read_json
from ingestor.known import Known
from ingestor.writer import Writer
from scripts import services
from scripts.bench_history import ask
from scripts.supervisor import Child, Service
from sql import connect, queries
from sql.migrate import migrate

_CLIENTS, _THREADS = 8, 8
_ALMANAC = str(Path(sys.executable).with_name("almanac"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="make a database here, and drop it in the end")
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each round")
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--batches", type=int, default=20, help="of 24,000 datapoints, with and without")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        database_url = stack.enter_context(_database(options.server))
        redis_url = stack.enter_context(_redis())
        port, api = stack.enter_context(_api(database_url, redis_url))
        quiet, busy = _devices(port, 2)
        _idle(port, api, quiet, options.listeners, options.rounds, options.seconds)
        print("\nfrom the commit to the event, milliseconds")
        print("listeners to the device | others that are idle | p50 | p99 | most")
        for listening, idle in ((1, 0), (1, options.listeners), (options.listeners, 0)):
            delays = _events(port, database_url, redis_url, busy, quiet, listening, idle, options.events)
            delays.sort()
            p50, p99 = statistics.median(delays), delays[int(len(delays) * 0.99)]
            print(f"{listening} | {idle} | {p50:.1f} | {p99:.1f} | {delays[-1]:.1f}")
        _writing(database_url, port, options.batches)


def _idle(port: int, api: int, device: int, listeners: int, rounds: int, seconds: float) -> None:
    without, with_, used = [], [], []
    _requests(port, device, seconds)  # warm
    for _ in range(rounds):
        without.append(_requests(port, device, seconds))
        before = _memory(api)
        with _listeners(port, [device] * listeners):
            used.append(_memory(api) - before)
            with_.append(_requests(port, device, seconds))
    print(f"{listeners} idle listeners on one process of {_THREADS} threads, {_CLIENTS} clients, {rounds} rounds")
    print("round | requests/s without | with | ratio | p99 without | with")
    for number, (one, other) in enumerate(zip(without, with_, strict=True), 1):
        print(
            f"{number} | {one[0]:.0f} | {other[0]:.0f} | {other[0] / one[0]:.2f} | {one[1]:.1f} ms | {other[1]:.1f} ms"
        )
    throughput = statistics.median(other[0] / one[0] for one, other in zip(without, with_, strict=True))
    latency = statistics.median(other[1] / one[1] for one, other in zip(without, with_, strict=True))
    print(f"median ratio of requests/s {throughput:.2f}, of p99 {latency:.2f}")
    print(f"memory of the process: {max(used) / 1024:.1f} MiB more, {max(used) / listeners:.1f} KiB a listener")


def _requests(port: int, device: int, seconds: float) -> tuple[float, float]:
    """Return how many a second, and the 99th percentile in milliseconds."""
    taken: list[float] = []
    end = time.monotonic() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (start := time.monotonic()) < end:
            ask(connection, f"/v0/devices/{device}")
            taken.append((time.monotonic() - start) * 1000)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken) / seconds, sorted(taken)[int(len(taken) * 0.99)]


def _events(
    port: int, database_url: str, redis_url: str, device: int, quiet: int, listening: int, idle: int, events: int
) -> list[float]:
    """Return the delays of all events at all listeners."""
    known, bell = Known(), Bell(redis_url)
    writer, committed = Writer(known, by_copy=False), {}
    with connect(database_url) as conn, _listeners(port, [device] * listening + [quiet] * idle) as heard:
        for _ in range(events):
            value = next(_values)
            reading = {"recorded_at": f"{datetime.now(UTC):%FT%T.%fZ}", "sensors": [{"id": 55, "value": value}]}
            payload = json.dumps({"data": [reading]}).encode()
            writer.write(conn, read_json(conn, device, "bench", payload, known, datetime.now(UTC)))
            committed[value] = time.monotonic()
            bell.ring()
            time.sleep(0.11)
        time.sleep(2)
    arrived = heard()
    if len(arrived) != listening * events:
        raise RuntimeError(f"{len(arrived)} events came, {listening * events} should have")
    return [(at - committed[value]) * 1000 for value, at in arrived]


def _writing(database_url: str, port: int, batches: int) -> None:
    """Print what it costs a writer to note what has arrived."""
    devices, taken, note = _devices(port, 20), {True: [], False: []}, queries.insert_arrival
    minutes = itertools.count()
    known = Known()
    writer = Writer(known)
    with connect(database_url) as conn:
        known.refresh(conn)
        known.sensors.ids.update(range(1, 250))
        for number in range(2 * batches + 2):
            batch, is_noted = Batch(known.earliest(datetime.now(UTC))), number % 2 == 0
            for minute in itertools.islice(minutes, 100):
                for device, sensor in itertools.product(devices, _SENSORS):
                    batch.device_ids.append(device)
                    batch.times.append(_START_US + minute * 60_000_000)
                    batch.sizes.append(1)
                    batch.sensor_ids.append(sensor)
                    batch.raws.append(float(minute % 50))
            queries.insert_arrival = note if is_noted else lambda *_, **__: 0
            start = time.monotonic()
            writer.write(conn, batch)
            if number > 1:
                taken[is_noted].append(time.monotonic() - start)
        queries.insert_arrival = note
        size = conn.execute(
            "SELECT pg_total_relation_size('arrivals') AS bytes, sum(datapoints) AS datapoints FROM arrivals"
        ).fetchone()
    ratio = statistics.median(with_ / without for with_, without in zip(taken[True], taken[False], strict=True))
    print(
        f"\na batch of 24,000 datapoints takes {ratio:.2f} of the time that it takes without being noted in arrivals,"
    )
    print(f"which has {size['bytes'] / size['datapoints']:.1f} bytes a datapoint")


_SENSORS = (10, 14, 53, 55, 56, 58, 87, 88, 89, 112, 113, 220)
_START_US = 1_768_435_200_000_000
_values = itertools.count(1)


@contextmanager
def _listeners(port: int, devices: list[int]) -> Iterator[object]:
    """Open streams, in a process of their own; what is yielded returns, after the block, all (value, time) heard."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_listen, args=[port, devices, theirs])
    process.start()
    arrived: list[tuple[int, float]] = []
    ours.recv()
    try:
        yield lambda: arrived
    finally:
        ours.send("end")
        arrived += ours.recv()
        process.join()


def _listen(port: int, devices: list[int], parent: Connection) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selector, arrived = selectors.DefaultSelector(), []
    for device in devices:
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(f"GET /v0/stream?device_id={device} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        stream.recv(65536)
        selector.register(stream, selectors.EVENT_READ)
    parent.send("open")
    selector.register(parent, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is parent:
                parent.send(arrived)
                return
            assert isinstance(key.fileobj, socket.socket)
            data, at = key.fileobj.recv(65536), time.monotonic()
            arrived += [(int(float(part.split(b",", 1)[0])), at) for part in data.split(b'"value":')[1:]]


def _devices(port: int, count: int) -> list[int]:
    name = f"bench{secrets.token_hex(3)}"
    account = {"username": name, "email": f"{name}@example.org", "password": secrets.token_urlsafe(12)}
    _post(port, "/v0/users", account)
    token = _post(port, "/v0/sessions", {name: account[name] for name in ("username", "password")})["access_token"]
    return [_post(port, "/v0/devices", {"name": f"Bench {number}"}, token)["id"] for number in range(count)]


def _post(port: int, path: str, body: dict[str, str], token: str = "") -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"} if token else {}
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    if answer.status != 201 and answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {said}")
    return said


def _memory(pid: int) -> int:
    """Return a process's resident memory in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no memory")


@contextmanager
def _api(database_url: str, redis_url: str) -> Iterator[tuple[int, int]]:
    """One API process: its port, and its process id."""
    port = services.free_port()
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": secrets.token_urlsafe(32)}
    env |= {"RATE_LIMIT_ANONYMOUS": "0", "RATE_LIMIT_SIGN_IN": "0"}
    command = [_ALMANAC, "serve", "--port", str(port), "--workers", "1", "--threads", str(_THREADS)]
    master = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with suppress(OSError):
                if ask(http.client.HTTPConnection("127.0.0.1", port), "/healthz"):
                    break
            time.sleep(0.1)
        yield port, int(Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()[0])
    finally:
        master.terminate()
        master.wait()


@contextmanager
def _redis() -> Iterator[str]:
    port = services.free_port()
    with tempfile.TemporaryDirectory() as directory, _running(services.redis(Path(directory), port)):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _database(server: str | None) -> Iterator[str]:
    """A new database, with Almanac's tables and catalogue."""
    with ExitStack() as stack:
        if server:
            name = f"bench_stream_{secrets.token_hex(3)}"
            admin = stack.enter_context(psycopg.connect(server, autocommit=True))
            admin.execute(f"CREATE DATABASE {name}")
            stack.callback(lambda: admin.execute(f"DROP DATABASE {name} WITH (FORCE)"))
            url = f"{server.rpartition('/')[0]}/{name}"
        else:
            port, directory = services.free_port(), Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.enter_context(_running(services.database(directory, port)))
            url = services.database_url(port)
        migrate(url)
        with psycopg.connect(url, prepare_threshold=None) as conn:
            seed(conn)
        yield url


@contextmanager
def _running(service: Service) -> Iterator[None]:
    child = Child(service)
    child.start()
    try:
        child.wait_until_ready()
        yield
    finally:
        child.stop()


if __name__ == "__main__":
    main()
