"""How many readings a component should have sent, at the paces at which it was to read one after the other. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from ingestor.times import to_us
from sql.arrays import Floats, Times


class Pace(NamedTuple):
    """How a component reads from some time on."""

    since: datetime
    enabled: bool
    interval: float | None  # seconds from one reading to the next; None: nobody said


def expected_readings(
    paces: Sequence[Pace], usual_s: float | None, starts: Times, ends: Times
) -> list[int] | list[None]:
    """Return how many readings belong into each [start, end), in microseconds; at least one where any does.

    `paces` in the order of their times. `usual_s` is the pace before the first of them, and wherever nobody said: None
    for as the first that is said. All None where nothing is known.
    """
    usual_s = usual_s or next((pace.interval for pace in paces if pace.interval), None)
    if usual_s is None:
        return [None] * len(starts)
    rates = [1 / usual_s, *((1 / (pace.interval or usual_s) if pace.enabled else 0) for pace in paces)]
    edges = np.array([int(starts.min()), *(to_us(pace.since) for pace in paces), int(ends.max())])
    edges[1:-1] = np.clip(edges[1:-1], edges[0], edges[-1])
    counted: Floats = np.append(0, np.cumsum(np.diff(edges) / 1e6 * rates))
    lengths = np.interp(ends, edges, counted) - np.interp(starts, edges, counted)
    expected: list[int] = np.where(lengths > 0, np.maximum(1, np.round(lengths)), 0).astype(int).tolist()
    return expected
