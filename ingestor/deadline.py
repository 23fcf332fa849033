"""Bound what waits for another machine, which may never answer and never hang up either."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer


@contextmanager
def deadline(seconds: float, cut: Callable[[], object]) -> Iterator[None]:
    """Call `cut` from another thread once the block takes longer; it breaks what the block waits for.

    The block may have ended while `cut` begins, so `cut` must bear that.
    """
    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
