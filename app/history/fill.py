"""Put buckets on the whole grid of their range, and fill the gaps between them. Pure."""

from enum import StrEnum

import numpy as np

from app.history.read import Buckets
from app.history.rollup import Duration, Rollup
from sql.arrays import Floats, Times

MOST_BUCKETS = 200_000
_LADDER = ("1s", "10s", "1m", "5m", "15m", "1h", "6h", "1d", "1w", "1M", "1y")


class Fill(StrEnum):
    """What stands in a bucket without readings."""

    NULL = "null"
    LOCF = "locf"  # last observation carried forward
    LINEAR = "linear"


class TooManyBucketsError(ValueError):
    """The grid would have more than MOST_BUCKETS buckets; the message names a rollup that fits."""


def grid(rollup: Rollup, start_us: int, end_us: int) -> Times:
    """Return the starts of all buckets that touch start <= time < end, ascending. Raises TooManyBucketsError."""
    if start_us >= end_us:
        return np.empty(0, np.int64)
    buckets = rollup.buckets_between(start_us, end_us)
    if buckets > MOST_BUCKETS:
        fitting = next(
            step
            for step in _LADDER
            if Rollup(Duration.parse(step), rollup.zone).buckets_between(start_us, end_us) <= MOST_BUCKETS
        )
        raise TooManyBucketsError(
            f"rollup={rollup.duration} makes about {buckets:,} buckets of this range, with the empty ones that you ask "
            f"for at most {MOST_BUCKETS:,} are answered: rollup={fitting} fits"
        )
    return rollup.edges(start_us, end_us - 1)[:-1]


def on_grid(buckets: list[Buckets], functions: int, starts: Times, fill: Fill, max_gap_us: int | None) -> Buckets:
    """Return every bucket of the grid once, newest first, with a column for each of so many functions.

    A gap is filled where the buckets with readings on both its sides (for locf: the one before, and the bucket to be
    filled) are at most `max_gap_us` apart; None fills every gap. Nothing is known before the first and, unless carried
    forward, after the last bucket with readings.
    """
    times = np.concatenate([part.time for part in buckets]) if buckets else np.empty(0, np.int64)
    places = np.searchsorted(starts, times)
    columns = []
    for number in range(functions):
        column = np.full(len(starts), np.nan)
        if buckets:
            column[places] = np.concatenate([part.columns[number] for part in buckets])
        columns.append(_filled(starts, column, fill, max_gap_us)[::-1])
    n = np.zeros(len(starts))
    if buckets:
        n[places] = np.concatenate([part.n for part in buckets])
    return Buckets(starts[::-1], columns, n[::-1])


def _filled(starts: Times, column: Floats, fill: Fill, max_gap_us: int | None) -> Floats:
    known = np.flatnonzero(~np.isnan(column))
    if fill is Fill.NULL or not len(known):
        return column
    before = np.searchsorted(known, np.arange(len(column)), side="right") - 1
    after = np.minimum(before + 1, len(known) - 1)
    last_known = starts[known[np.maximum(before, 0)]]
    if fill is Fill.LOCF:
        filled = column[known[np.maximum(before, 0)]]
        distance = starts - last_known
        inside = before >= 0
    else:
        filled = np.interp(starts, starts[known], column[known])
        distance = starts[known[after]] - last_known
        inside = (before >= 0) & (before < len(known) - 1)
    fillable = np.isnan(column) & inside & (distance <= max_gap_us if max_gap_us is not None else True)
    result: Floats = np.where(fillable, filled, column)
    return result
