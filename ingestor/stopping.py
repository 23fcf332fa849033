"""Whether a process is to end: a signal says so, or another thread."""

import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Self


class Stopping:
    """What threading.Event would be, did its `set`, in a signal handler, not wait for the very thread it interrupts."""

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()  # whose put may come in the middle of a get

    def on_signals(self) -> Self:
        """Be set by SIGTERM and SIGINT from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())
        return self

    def set(self) -> None:
        self._told.put(None)

    def is_set(self) -> bool:
        return not self._told.empty()

    def wait(self, seconds: float) -> bool:
        """Return whether it is set, as soon as it is, or after so many seconds."""
        with suppress(Empty):
            self._told.get(timeout=max(seconds, 0))
            self._told.put(None)
        return self.is_set()
