"""Compare the whole way of a reading, MQTT publish to committed row, with a plain binary COPY of the same rows.

    python -m scripts.bench_ingest [--server postgresql://…] [--messages 40000] [--workers 1] [--raw]

Without --server it runs on the embedded TimescaleDB, whose plain way in is INSERT … SELECT unnest. Broker, daemon and
database are those of ./scripts/dev. The publisher encodes everything before the clock starts and speaks MQTT 3.1.1
at QoS 1 on one connection a device. Prints one JSON object; what counts is `ratio`.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import psycopg

from scripts import services
from scripts.bench_platform import Ledger, cpu_of_each, database, make_devices, peak_mb
from scripts.bench_publisher import (
    SENSORS,
    connections,
    json_payload,
    publish,
    publish_packet,
    raw_payload,
    readings,
)
from scripts.mosquitto import Broker
from scripts.supervisor import Service, running
from sql import DictConnection, connect

_ROW = np.dtype(
    [("columns", ">i2")]
    + [
        field
        for name, size in (("device_id", 4), ("sensor_id", 4), ("time", 8), ("raw", 8), ("value", 8))
        for field in ((f"{name}_size", ">i4"), (name, f">{'f' if name in ('raw', 'value') else 'i'}{size}"))
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    parser.add_argument("--messages", type=int, default=40_000, help="of 12 datapoints each [%(default)s]")
    parser.add_argument("--devices", type=int, default=50, help="each with a connection of its own [%(default)s]")
    parser.add_argument("--workers", type=int, default=1, help="processes of the ingestor [%(default)s]")
    parser.add_argument(
        "--backlog",
        action="store_true",
        help="publish all while the ingestor is away, and measure from its return",
    )
    parser.add_argument("--rate", type=float, help="publish so many messages a second, and measure publish to visible")
    parser.add_argument(
        "--base", type=float, default=0, help="millions of datapoints in the table before [%(default)s]"
    )
    parser.add_argument("--raw", action="store_true", help="the kits' compact grammar instead of JSON")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(json.dumps(run(arguments, directory, stack), indent=2))


def run(arguments: argparse.Namespace, directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Start everything, measure, and return the figures."""
    url = stack.enter_context(database(arguments.server, directory))
    conn = stack.enter_context(connect(url))
    broker = Broker(directory / "broker", *(services.free_port() for _ in range(3)))
    broker_process = stack.enter_context(running(broker.service()))
    tokens = [f"bench{number:04}" for number in range(arguments.devices)]
    device_ids = make_devices(conn, tokens)
    times, values = readings(arguments.messages, arguments.devices)
    if arguments.base:
        fill(conn, device_ids, int(arguments.base * 1e6), until=times[0])
    encode = raw_payload if arguments.raw else json_payload
    packets: list[list[bytes]] = [[] for _ in tokens]
    for number in range(arguments.messages):
        device = number % arguments.devices
        topic = f"device/sck/{tokens[device]}/readings{'/raw' if arguments.raw else ''}"
        payload = encode(times[number], values[number])
        packets[device].append(publish_packet(topic, payload, number // arguments.devices + 1))

    rows = arguments.messages * len(SENSORS)
    plain_rate = None
    if not arguments.rate:
        plain = min(plain_load(conn, device_ids, times, values, bool(arguments.base)) for _ in range(2))
        plain_rate = rows / plain

    log = Ledger()
    command = [
        sys.executable,
        "-m",
        "ingestor",
        *(["--workers", str(arguments.workers)] if arguments.workers > 1 else []),
    ]
    env = {
        "DATABASE_URL": url,
        "MQTT_URL": broker.platform_url,
        "MQTT_CLIENT_ID": "bench",
        "LOG_LEVEL": "DEBUG",
    }
    daemon = stack.enter_context(running(Service("ingestor", command, env, says='"event":"subscribed"'), log.read))
    time.sleep(0.5 * arguments.workers)
    if arguments.backlog:
        daemon.stop()
        publish(broker.kit_port, tokens, packets)
        daemon.start()
        daemon.wait_until_ready()
    started, cpu = time.monotonic(), cpu_of_each(conn, broker_process.pid, daemon.pid)
    waited: list[float] = []
    if arguments.rate:
        waited = lags(conn, broker.kit_port, tokens, packets, times, arguments.rate)
    elif not arguments.backlog:
        publish(broker.kit_port, tokens, packets)
    published = time.monotonic()
    while log.accounted < rows:
        time.sleep(0.01)
        if time.monotonic() - log.last > 60:
            raise SystemExit(f"the ingestor stopped at {log.accounted} of {rows} datapoints")
    seconds, cpu_after = log.last - started, cpu_of_each(conn, broker_process.pid, daemon.pid)
    count = conn.execute("SELECT count(*) AS n FROM datapoints").fetchone()
    figures: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "server": conn.execute("SELECT version() AS v").fetchone()["v"].split(" on ")[0],  # type: ignore[index]
        "datapoints": rows,
        "in_table": count["n"] if count else None,
        "batches": log.batches,
        "publish_seconds": round(published - started, 2),
        "end_to_end_seconds": round(seconds, 2),
        "end_to_end_per_second": round(rows / seconds),
        "cpu_seconds": {name: round(used - cpu[name], 2) for name, used in cpu_after.items()},
        "ingestor_peak_mb": peak_mb(daemon.pid),
    }
    if waited:
        figures["visible_after_seconds"] = {p: round(float(np.percentile(waited, p)), 3) for p in (50, 99, 100)}
    if plain_rate:
        figures |= {"plain_per_second": round(plain_rate), "ratio": round(rows / seconds / plain_rate, 3)}
    return figures


def lags(
    conn: DictConnection, port: int, tokens: list[str], packets: list[list[bytes]], times: list[datetime], rate: float
) -> list[float]:
    """Publish so many messages a second, and return for each the seconds until others see it in the database."""
    devices = len(tokens)
    sent_at: list[float] = []

    def send() -> None:
        made = connections(port, tokens)
        started = time.monotonic()
        for number in range(len(times)):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            made[number % devices].sendall(packets[number % devices][number // devices])
            sent_at.append(time.monotonic())
        for connection in made:
            connection.close()

    sender = Thread(target=send)
    sender.start()
    numbers = {(token, when): number for number, when in enumerate(times) for token in [tokens[number % devices]]}
    seen = dict.fromkeys(tokens, 0)
    lags: list[float] = []
    while len(lags) < len(times):
        latest = conn.execute(
            "SELECT d.name, c.latest_time FROM components AS c JOIN devices AS d ON d.id = c.device_id"
            " WHERE c.sensor_id = 55"
        ).fetchall()
        now = time.monotonic()
        for row in latest:
            if row["latest_time"] is None or (row["name"], row["latest_time"]) not in numbers:
                continue
            upto = numbers[row["name"], row["latest_time"]] // devices + 1
            first = tokens.index(row["name"])
            lags += [now - sent_at[first + devices * n] for n in range(seen[row["name"]], upto)]
            seen[row["name"]] = upto
        time.sleep(0.01)
    sender.join()
    return lags


def plain_load(conn: DictConnection, device_ids: list[int], times: list[datetime], values: Any, keep: bool) -> float:
    """Load the same rows by themselves, return the seconds, and take them out again."""
    rows = np.zeros(values.size, _ROW)
    rows["columns"] = 5
    for name in ("device_id", "sensor_id", "time", "raw", "value"):
        rows[f"{name}_size"] = rows.dtype[name].itemsize
    rows["device_id"] = np.repeat(np.resize(np.array(device_ids), len(times)), len(SENSORS))
    rows["sensor_id"] = np.tile(np.array(SENSORS), len(times))
    microseconds = np.array([int(when.timestamp() * 1e6) for when in times])
    rows["time"] = np.repeat(microseconds - 946_684_800_000_000, len(SENSORS))
    rows["raw"] = rows["value"] = values.ravel()
    started = time.monotonic()
    try:
        with (
            conn.cursor() as cursor,
            cursor.copy("COPY datapoints (device_id, sensor_id, time, raw, value) FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8))
            for start in range(0, len(rows), 1000):
                copy.write(rows[start : start + 1000].tobytes())
            copy.write(b"\xff\xff")
    except psycopg.errors.FeatureNotSupported:
        for start in range(0, len(rows), 10_000):
            part = rows[start : start + 10_000]
            conn.execute(
                "INSERT INTO datapoints (device_id, sensor_id, time, raw, value)"
                " SELECT * FROM unnest(%s::integer[], %s::integer[], %s::timestamptz[], %s::float8[], %s::float8[])",
                [
                    part["device_id"].astype(np.int32),
                    part["sensor_id"].astype(np.int32),
                    part["time"].astype(np.int64) + 946_684_800_000_000,
                    part["raw"].astype(np.float64),
                    part["value"].astype(np.float64),
                ],
            )
    seconds = time.monotonic() - started
    if keep:
        conn.execute("DELETE FROM datapoints WHERE time >= %s", (times[0],))
    else:
        conn.execute("TRUNCATE datapoints")
    return seconds


def fill(conn: DictConnection, device_ids: list[int], rows: int, until: datetime) -> None:
    """Put so many datapoints into the table, of the three days before: mostly the chunk that the new ones go to."""
    each = rows // (len(device_ids) * len(SENSORS))
    conn.execute(
        "INSERT INTO datapoints (device_id, sensor_id, time, raw, value)"
        " SELECT d, s, %s - n * INTERVAL '3 days' / %s, n, n"
        " FROM unnest(%s::integer[]) AS d, unnest(%s::integer[]) AS s, generate_series(1, %s) AS n",
        (until, each, device_ids, list(SENSORS), each),
    )
    with suppress(psycopg.Error):
        conn.execute("CHECKPOINT")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
