"""How long the broker answers nobody while it saves what waits for the ingestor to disk, every second second.

    python -m scripts.bench_broker [--megabytes 100 1000]

A durable subscriber is away, messages of 12 sensors wait for it up to that size, and meanwhile a client pings. Prints
one JSON object.
"""

import argparse
import json
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ingestor.subscriber import Subscriber
from scripts import services
from scripts.bench_platform import running
from scripts.bench_publisher import connections, json_payload, publish, publish_packet, readings

_PING, _PONG = b"\xc0\x00", b"\xd0\x00"
_PER_ROUND = 30_000  # messages
_WATCHED_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 1000], help="of payload [%(default)s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        broker = services.Broker(Path(name), *(services.free_port() for _ in range(3)))
        with running(broker.service()):
            print(json.dumps([waiting(broker, megabytes) for megabytes in sorted(arguments.megabytes)], indent=2))


def waiting(broker: services.Broker, megabytes: int) -> dict[str, Any]:
    """Let so much wait, and return how long the broker was deaf."""
    subscriber = Subscriber(broker.platform_url, "bench", 1)
    subscriber.start()
    while not subscriber.is_connected:
        time.sleep(0.01)
    time.sleep(1)
    subscriber.stop()
    tokens = [f"bench{number:04}" for number in range(50)]
    times, values = readings(_PER_ROUND, len(tokens))
    packets: list[list[bytes]] = [[] for _ in tokens]
    for number in range(_PER_ROUND):
        payload = json_payload(times[number], values[number])
        topic = f"device/sck/{tokens[number % 50]}/readings"
        packets[number % 50].append(publish_packet(topic, payload, number // 50 + 1))
    size = sum(len(packet) for own in packets for packet in own)
    stored = broker.directory / "mosquitto.db"
    rounds = 0
    while rounds * size < megabytes * 1e6:
        publish(broker.kit_port, tokens, packets)
        rounds += 1
    (client,) = connections(broker.kit_port, ["pinging"])
    pauses = pings(client)
    return {
        "messages": rounds * _PER_ROUND,
        "megabytes": round(rounds * size / 1e6),
        "file_megabytes": round(stored.stat().st_size / 1e6),
        "deaf_seconds": {p: round(float(np.percentile(pauses, p)), 3) for p in (50, 100)},
        "deaf_share": round(sum(pause for pause in pauses if pause > 0.02) / _WATCHED_S, 2),
    }


def pings(client: socket.socket) -> list[float]:
    """Return how long each answer took, for ten seconds."""
    taken: list[float] = []
    end = time.monotonic() + _WATCHED_S
    while (started := time.monotonic()) < end:
        client.sendall(_PING)
        if client.recv(2) != _PONG:
            raise SystemExit("the broker said something else than a pong")
        taken.append(time.monotonic() - started)
        time.sleep(0.001)
    return taken


if __name__ == "__main__":
    main()
