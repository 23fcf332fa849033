"""How long the broker answers nobody while it saves what waits for the ingestor to disk.

    python -m scripts.bench_broker [--megabytes 100 300 900]

A durable subscriber is away, and messages of 12 sensors wait for it up to each of these sizes. The broker is then told
to save, once, while a client pings; by itself it saves never here, as else it saves every second second and so takes
the longer for the next megabyte the more it holds. Prints one JSON object.
"""

import argparse
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingestor.subscriber import Subscriber
from scripts import services
from scripts.bench_platform import peak_mb
from scripts.bench_publisher import connections, json_payload, publish, publish_packet, readings
from scripts.mosquitto import Broker
from scripts.supervisor import running

_PING, _PONG = b"\xc0\x00", b"\xd0\x00"
_PER_ROUND = 30_000  # messages
_WATCHED_S = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--megabytes", type=int, nargs="+", default=[100, 300, 900], help="of packets; the broker holds 1 GiB at most"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        broker = Broker(Path(name), *(services.free_port() for _ in range(3)))
        service = broker.service()
        configuration = broker.directory / "mosquitto.conf"
        configuration.write_text(configuration.read_text().replace("autosave_interval 1\n", "autosave_interval 0\n"))
        with running(service) as process:
            leave_a_session(broker)
            sizes = sorted(arguments.megabytes)
            print(json.dumps(list(deafness(broker, process.pid, sizes)), indent=2))


def leave_a_session(broker: Broker) -> None:
    """Let everything wait for a subscriber that is away."""
    subscriber = Subscriber(broker.platform_url, "bench", 1)
    subscriber.start()
    while not subscriber.is_connected:
        time.sleep(0.01)
    time.sleep(1)
    subscriber.stop()


def deafness(broker: Broker, pid: int, sizes: list[int]) -> Iterator[dict[str, Any]]:
    """Let so many megabytes wait, one size after the other, and say of each how long the broker took to save it."""
    tokens = [f"bench{number:04}" for number in range(50)]
    times, values = readings(_PER_ROUND, len(tokens))
    packets: list[list[bytes]] = [[] for _ in tokens]
    for number in range(_PER_ROUND):
        payload = json_payload(times[number], values[number])
        topic = f"device/sck/{tokens[number % 50]}/readings"
        packets[number % 50].append(publish_packet(topic, payload, number // 50 + 1))
    size = sum(len(packet) for own in packets for packet in own)
    rounds = 0
    for megabytes in sizes:
        while rounds * size < megabytes * 1e6:
            publish(broker.kit_port, tokens, packets)
            rounds += 1
        (client,) = connections(broker.kit_port, ["pinging"])
        os.kill(pid, signal.SIGUSR1)  # save now
        pauses = pings(client)
        client.close()
        yield {
            "messages": rounds * _PER_ROUND,
            "megabytes": round(rounds * size / 1e6),
            "file_megabytes": round((broker.directory / "mosquitto.db").stat().st_size / 1e6),
            "broker_peak_mb": peak_mb(pid),
            "deaf_seconds": round(max(pauses), 2),
        }


def pings(client: socket.socket) -> list[float]:
    """Return how long each answer took, for some seconds."""
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
