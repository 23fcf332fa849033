"""A process that is told to end."""

import signal
import time
from threading import Thread

from ingestor.stopping import Stopping


def test_a_signal_at_any_moment_ends_the_wait_and_blocks_nothing() -> None:
    """threading.Event's `set` waits for ever where it interrupts a `wait` that has just taken the event's lock."""
    stopping = Stopping()
    before = signal.signal(signal.SIGALRM, lambda *_: stopping.set())
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        for _ in range(2000):
            assert stopping.wait(60)
            stopping = Stopping()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_who_is_told_by_another_thread_stops_waiting_and_stays_told() -> None:
    stopping = Stopping()
    assert not stopping.wait(0)
    assert not stopping.is_set()
    teller, started = Thread(target=stopping.set), time.monotonic()
    teller.start()

    assert stopping.wait(60)

    assert time.monotonic() - started < 10
    assert stopping.is_set()
    assert stopping.wait(0)
