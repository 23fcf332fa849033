"""Let many kits be there at once: a connection and a login each, and a reading of 15 sensors a minute of every one.

    python -m scripts.bench_kits [--kits 20000] [--minutes 3] [--server postgresql://…]

Broker, ingestor and database are those of ./scripts/dev on this machine; kits log in with their tokens at the door with
dynamic security. A kit's minute begins at a moment of its own, and it publishes at QoS 1. Prints one JSON object: how
long the logins took, how soon the broker confirmed, whether all is stored, and which part of a core each program needed
(`core_share`): what is nearest to 1 is the first bottleneck, and 1 / share how many times as many kits it could take.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import signal
import struct
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from app.broker.dynsec import document
from scripts import services
from scripts.bench_platform import Ledger, cpu_of_each, database, make_devices, peak_mb
from scripts.bench_publisher import publish_packet
from scripts.mosquitto import Broker
from scripts.supervisor import Service, running
from sql import connect

SENSORS = (10, 14, 53, 55, 56, 58, 87, 88, 89, 112, 113, 220, 158, 160, 161)
INTERVAL_S = 60.0
_LOGINS_AT_ONCE = 100
_TICK_S = 0.02


class Kit(asyncio.Protocol):
    """A kit's connection: MQTT 3.1.1 as far as a login, a publish and its confirmation go."""

    def __init__(self, token: str, waited: list[float]) -> None:
        self.token = token
        self.connected: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.number = 0
        self.lost = False
        self._sent_at = 0.0
        self._waited = waited

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        word = struct.pack("!H", len(self.token)) + self.token.encode()
        body = b"\x00\x04MQTT\x04\xc2" + struct.pack("!H", 4 * int(INTERVAL_S)) + 3 * word  # client id, name, password
        transport.write(bytes([0x10, len(body)]) + body)

    def data_received(self, data: bytes) -> None:
        if data[0] == 0x20:
            self.connected.set_result(data[3] == 0)
        elif data[0] == 0x40:
            self._waited.append(time.monotonic() - self._sent_at)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        if not self.connected.done():
            self.connected.set_result(False)

    def publish(self, when: datetime) -> None:
        """Send the reading of a minute."""
        pairs = ",".join(f"{sensor}:{20 + (sensor * self.number) % 977 / 100:.2f}" for sensor in SENSORS)
        payload = f"{{t:{when:%Y-%m-%dT%H:%M:%SZ},{pairs}}}".encode()
        self.number += 1
        self._sent_at = time.monotonic()
        self._transport.write(publish_packet(f"device/sck/{self.token}/readings/raw", payload, self.number))


async def log_in(port: int, tokens: list[str], waited: list[float]) -> list[Kit]:
    """Connect all kits, some at a time. Raises SystemExit where the broker refuses one."""
    gate = asyncio.Semaphore(_LOGINS_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(token: str) -> Kit:
        async with gate:
            _, kit = await loop.create_connection(lambda: Kit(token, waited), "127.0.0.1", port)
            if not await asyncio.wait_for(kit.connected, 60):
                raise SystemExit(f"the broker refused {token}")
            return kit

    return await asyncio.gather(*(one(token) for token in tokens))


async def publish_all(kits: list[Kit], minutes: int) -> None:
    """Let each kit publish once a minute, spread over the minute."""
    begun, start, count = time.monotonic(), datetime.now(UTC) - timedelta(minutes=minutes), 0
    total = len(kits) * minutes
    while count < total:
        due = min(total, int((time.monotonic() - begun) / INTERVAL_S * len(kits)))
        for number in range(count, due):
            minute, kit = divmod(number, len(kits))
            kits[kit].publish(start + timedelta(minutes=minute))
        count = due
        await asyncio.sleep(_TICK_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kits", type=int, default=20_000, help="[%(default)s]")
    parser.add_argument("--minutes", type=int, default=3, help="of readings [%(default)s]")
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    arguments = parser.parse_args()
    allow_files(arguments.kits + 60)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(json.dumps(run(arguments, directory, stack), indent=2))


def allow_files(wanted: int) -> None:
    """Allow so many open files, a connection being one, to us and to the broker that we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except ValueError:
        raise SystemExit(f"{wanted} open files are needed and {hard} allowed: ulimit -Hn, or fewer --kits") from None


def run(arguments: argparse.Namespace, directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Start everything, measure, and return the figures."""
    url = stack.enter_context(database(arguments.server, directory))
    conn = stack.enter_context(connect(url))
    tokens = [f"bench{number:06}" for number in range(arguments.kits)]
    with conn.transaction():
        make_devices(conn, tokens)
    broker = Broker(directory / "broker", *(services.free_port() for _ in range(3)))
    (directory / "broker").mkdir()
    logins = directory / "broker" / "logins.json"
    logins.write_text(json.dumps(document("keeper", tokens)))
    broker_process = stack.enter_context(running(broker.service()))
    ledger = Ledger()
    env = {
        "DATABASE_URL": url,
        "MQTT_URL": broker.platform_url,
        "MQTT_CLIENT_ID": "bench",
        "LOG_LEVEL": "DEBUG",
    }
    daemon = Service("ingestor", [sys.executable, "-m", "ingestor"], env, says='"event":"subscribed"')
    ingestor = stack.enter_context(running(daemon, ledger.read))

    waited: list[float] = []

    async def live() -> tuple[float, dict[str, float], float, int]:
        begun = time.monotonic()
        kits = await log_in(broker.device_port, tokens, waited)
        logins_s = time.monotonic() - begun
        before, begun = cpu_of_each(conn, broker_process.pid, ingestor.pid), time.monotonic()
        await publish_all(kits, arguments.minutes)
        while (
            len(waited) < arguments.kits * arguments.minutes and time.monotonic() - begun < 60 * arguments.minutes + 60
        ):
            await asyncio.sleep(_TICK_S)
        return logins_s, before, begun, sum(kit.lost for kit in kits)

    logins_s, before, begun, lost = asyncio.run(live())
    rows = arguments.kits * arguments.minutes * len(SENSORS)
    while ledger.accounted < rows and time.monotonic() - ledger.last < 60:
        time.sleep(0.05)
    seconds = time.monotonic() - begun
    after = cpu_of_each(conn, broker_process.pid, ingestor.pid)
    stored = conn.execute("SELECT count(*) AS n FROM datapoints").fetchone()
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "kits": arguments.kits,
        "logins_per_second": round(arguments.kits / logins_s),
        "connections_lost": lost,
        "messages_per_second": round(arguments.kits / INTERVAL_S, 1),
        "datapoints_sent": rows,
        "datapoints_stored": stored["n"] if stored else None,
        "confirmed_after_seconds": {p: round(float(np.percentile(waited, p)), 3) for p in (50, 99, 100)},
        "core_share": {name: round((used - before[name]) / seconds, 3) for name, used in after.items()},
        "broker_peak_mb": peak_mb(broker_process.pid),
        "ingestor_peak_mb": peak_mb(ingestor.pid),
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
