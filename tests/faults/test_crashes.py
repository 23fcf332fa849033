"""The ingestor or the broker killed or restarted, the way between them cut: nothing is lost, nothing is there twice."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from urllib.parse import urlsplit

import pytest
import suite_log
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from fleet import Fleet, make_fleet
from proxy import proxy_to
from waiting import wait_for

from scripts.supervisor import Child, Service
from sql import DictConnection

ROUNDS = 100

# The daemon again and again. Python's own start and its imports, a second, are done once: what is killed is a fork.
DAEMONS = """
import os, signal, sys
from ingestor.daemon import run
from ingestor.settings import Settings
settings = Settings.from_env()
while True:
    if (daemon := os.fork()) == 0:
        run(settings)
        os._exit(0)
    print(daemon, flush=True)
    if os.waitpid(daemon, 0)[1] != signal.SIGKILL:
        sys.exit("a daemon has ended by itself")
"""
LONGEST_S = 60  # from one line of theirs to the next


@pytest.fixture
def fleet(broker: RunningBroker, user: Caller) -> Iterator[Fleet]:
    fleet = make_fleet(broker, user)
    yield fleet
    fleet.close()


def test_an_ingestor_killed_at_random_moments_loses_nothing_and_stores_nothing_twice(
    fleet: Fleet, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    """In every other round after a batch has been committed, in the others while it starts, connects and subscribes."""
    chance = random.Random(ROUNDS)
    ingestor.kill()
    lines: SimpleQueue[str] = SimpleQueue()
    service = Service("daemons", [sys.executable, "-c", DAEMONS], ingestor.service.env)
    daemons = Child(service, lines.put)
    daemons.start()
    try:
        with fleet.publishing(each_s=0.005):
            for number in range(ROUNDS):
                daemon = line_of(lines, str.isdecimal)
                if number % 2:
                    line_of(lines, lambda line: '"event":"batch"' in line)
                time.sleep(chance.uniform(0, 0.1))
                os.kill(int(daemon), signal.SIGKILL)
    finally:
        daemons.kill()
    ingestor.start()

    fleet.check(conn)


def line_of(lines: SimpleQueue[str], wanted: Callable[[str], bool]) -> str:
    while True:
        line = lines.get(timeout=LONGEST_S)
        suite_log.lines.append(line)
        if wanted(line):
            return line


def test_the_connection_to_the_broker_is_cut_while_batches_are_half_acknowledged(
    fleet: Fleet, broker: RunningBroker, database_url: str, conn: DictConnection
) -> None:
    url = urlsplit(broker.platform_url)
    chance = random.Random(4)
    with proxy_to(url.port or 0) as proxy:
        behind = url._replace(netloc=url.netloc.replace(str(url.port), str(proxy.port))).geturl()
        ingestor = RunningIngestor(database_url, behind)
        ingestor.start()
        try:
            ingestor.wait_until_ready()
            with fleet.publishing():
                for _ in range(3):
                    time.sleep(chance.uniform(0.1, 0.4))
                    proxy.deaf.set()  # acknowledgements end on the way, in the middle of a batch
                    time.sleep(chance.uniform(0.05, 0.2))
                    proxy.cut()
                    proxy.deaf.clear()
                    time.sleep(1.2)  # it is back after a second
            fleet.check(conn)
        finally:
            ingestor.stop()


def test_a_broker_that_is_restarted_loses_nothing(
    fleet: Fleet, broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    with fleet.publishing():
        time.sleep(0.3)
        broker.stop()
        broker.start()
        broker.wait_until_ready()
        time.sleep(0.3)

    fleet.check(conn)
    assert ingestor.exit_code is None


def test_a_broker_that_crashes_loses_nothing_that_it_acknowledged_two_seconds_before(
    fleet: Fleet, broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    ingestor.stop()  # everything waits in the broker
    fleet.publish(200)
    fleet.settle()
    confirmed = fleet.confirmed
    time.sleep(2.5)  # it saves in every second second
    fleet.publish(200)
    broker.kill()
    broker.start()
    broker.wait_until_ready()
    ingestor.start()
    ingestor.wait_until_ready()

    wait_for(lambda: confirmed <= fleet.stored(conn).keys())
    assert fleet.stored(conn).items() <= fleet.sent.items()


def test_two_ingestors_share_the_work_and_store_everything_once(
    fleet: Fleet, broker: RunningBroker, database_url: str, conn: DictConnection
) -> None:
    names = [f"pair-{number}-{os.getpid()}" for number in (1, 2)]
    pair = [
        RunningIngestor(database_url, broker.platform_url, MQTT_CLIENT_ID=name, MQTT_GROUP="almanac") for name in names
    ]
    for ingestor in pair:
        ingestor.start()
    try:
        for ingestor in pair:
            ingestor.wait_until_ready()
        with fleet.publishing():
            time.sleep(0.5)
            pair[0].kill()
            pair[0].start()
            pair[0].wait_until_ready()
        fleet.check(conn)
    finally:
        for ingestor in pair:
            ingestor.stop()
        for name in names:  # and gone for good, for the sake of the tests that come after
            retired = RunningIngestor(database_url, broker.platform_url, MQTT_GROUP="almanac")
            retired.service = _retirement(retired, name)
            retired.start()
            wait_for(lambda retired=retired: retired.exit_code is not None)  # type: ignore[misc]
            assert retired.exit_code == 0, retired.last_words()


def _retirement(ingestor: RunningIngestor, name: str) -> Service:
    return replace(ingestor.service, command=[*ingestor.service.command, "--retire", name])
