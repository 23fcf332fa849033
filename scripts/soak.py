"""Let broker, ingestor and database work for hours, kill the ingestor now and then, and hold the end against a ledger.

    python -m scripts.soak [--server postgresql://…] [--minutes 120] [--rate 200] [--kill-every 300]

Each device sends one reading of 12 sensors in its turn, at QoS 1, so many a second in all. Prints a line a minute and a
JSON object at the end: `lost` and `twice` must be 0, and the memory flat. Exit code 1 if they are not.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from scripts import services
from scripts.bench_platform import Ledger, database, make_devices
from scripts.bench_publisher import SENSORS, connections, publish_packet, raw_payload
from scripts.mosquitto import Broker
from scripts.supervisor import Child, Service, running
from sql import connect

DEVICES = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; otherwise the embedded one")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=200, help="messages a second [%(default)s]")
    parser.add_argument("--kill-every", type=float, default=300, help="seconds between two kill -9 [%(default)s]")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        result = soak(arguments, directory, stack)
    print(json.dumps(result, indent=2))
    return 0 if result["lost"] == result["twice"] == 0 else 1


def soak(arguments: argparse.Namespace, directory: Path, stack: ExitStack) -> dict[str, Any]:
    url = stack.enter_context(database(arguments.server, directory))
    conn = stack.enter_context(connect(url))
    tokens = [f"soak{number:04}" for number in range(DEVICES)]
    make_devices(conn, tokens)
    broker = Broker(directory / "broker", *(services.free_port() for _ in range(3)))
    broker_process = stack.enter_context(running(broker.service()))
    log = Ledger()
    env = {
        "DATABASE_URL": url,
        "MQTT_URL": broker.platform_url,
        "MQTT_CLIENT_ID": "soak",
        "LOG_LEVEL": "DEBUG",
    }
    daemon = Child(Service("ingestor", [sys.executable, "-m", "ingestor"], env, says='"event":"subscribed"'), log.read)
    daemon.start()
    stack.callback(daemon.stop)
    daemon.wait_until_ready()

    done = Event()
    sent = [0]
    sender = Thread(target=send, args=(broker.kit_port, tokens, arguments.rate, done, sent))
    sender.start()
    started, minute, kills = time.monotonic(), 0, 0
    memory: list[tuple[float, float]] = []
    while (passed := time.monotonic() - started) < arguments.minutes * 60:
        time.sleep(1)
        if passed // arguments.kill_every > kills:
            kills += 1
            daemon.kill()
            daemon.start()
            daemon.wait_until_ready()
        if passed // 60 > minute:
            minute += 1
            memory.append((resident_mb(daemon.pid), resident_mb(broker_process.pid)))
            said = f"sent {sent[0]}, accounted {log.accounted // len(SENSORS)}, MB {memory[-1]}, kills {kills}"
            print(f"{minute:4} min  {said}", flush=True)
    done.set()
    sender.join()
    deadline = time.monotonic() + 120
    while (stored := count(conn)) < sent[0] * len(SENSORS) and time.monotonic() < deadline:
        time.sleep(1)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": arguments.minutes,
        "messages": sent[0],
        "datapoints": sent[0] * len(SENSORS),
        "lost": sent[0] * len(SENSORS) - stored,
        "twice": max(0, stored - sent[0] * len(SENSORS)),
        "kills": kills,
        "ingestor_mb_first_last": [memory[0][0], memory[-1][0]] if memory else None,
        "broker_mb_first_last": [memory[0][1], memory[-1][1]] if memory else None,
    }


def send(port: int, tokens: list[str], rate: float, done: Event, sent: list[int]) -> None:
    """Publish until `done`, and count; the broker's acknowledgements are read so that its buffers do not fill."""
    made = connections(port, tokens)
    random = np.random.default_rng(6)
    first, started = datetime.now(UTC) - timedelta(days=30), time.monotonic()
    while not done.is_set():
        number = sent[0]
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        device, turn = number % DEVICES, number // DEVICES
        payload = raw_payload(first + timedelta(seconds=turn), np.round(random.uniform(0, 100, len(SENSORS)), 2))
        topic = f"device/sck/{tokens[device]}/readings/raw"
        made[device].sendall(publish_packet(topic, payload, turn % 65535 + 1))
        sent[0] += 1
        if turn % 100 == 99:
            made[device].recv(65536)
    for connection in made:
        connection.close()


def count(conn: Any) -> int:
    return int(conn.execute("SELECT count(*) AS n FROM datapoints").fetchone()["n"])


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


if __name__ == "__main__":
    sys.exit(main())
