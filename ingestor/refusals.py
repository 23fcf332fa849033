"""Put many things into the database at once, though it may refuse some of them."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from ingestor import metrics
from sql import is_refusal

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


def put_each(
    things: Sequence[T],
    put: Callable[[Sequence[T]], R],
    put_aside: Callable[[T, Exception], R],
    refused: Callable[[Exception], bool] = is_refusal,
) -> list[R]:
    """Put things, by halves where they are refused, and aside what is refused alone: the others must not wait for it.

    `put` leaves nothing behind where it raises; any other error than a refusal is handed on.
    """
    if not things:
        return []
    try:
        return [put(things)]
    except Exception as error:
        if not refused(error):
            raise
        metrics.REFUSED.inc()
        log.exception("refused", extra={"things": len(things)})
        if len(things) == 1:
            return [put_aside(things[0], error)]
    half = len(things) // 2
    parts = (things[:half], things[half:])
    return [result for part in parts for result in put_each(part, put, put_aside, refused)]
