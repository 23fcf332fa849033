"""Read a device's components in slices of time, oldest first, each a short query and a bounded piece of memory."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from app.exports.question import Question
from app.history.read import Buckets, Selection, read_series
from app.history.rollup import MICROSECOND, Rollup
from ingestor.times import from_us, to_us
from sql import Pool, Row, queries
from sql.arrays import Floats, Times

_TARGET = 100_000  # datapoints a slice: some 30 MB with all their copies
_TARGET_S = 0.5  # of a query: on the embedded database everybody else waits for it
_FIRST_WINDOW_US = 3600 * 1_000_000
_LARGEST_WINDOW_US = 366 * 86_400 * 1_000_000
_BUCKETS = 10_000  # a component and slice

Matrix = np.ndarray[Any, np.dtype[np.float64]]


class Slice(NamedTuple):
    """Some rows, oldest first: their times, and a column a component and kind (NaN: none)."""

    end_us: int  # everything before it has been read
    times: Times
    values: Matrix
    calibration_ids: dict[int, set[int]]  # which versions made a sensor's values; of buckets it is not known


class Part(NamedTuple):
    """One column of a slice, at the times at which its component has something."""

    sensor_id: int
    kind: str
    times: Times
    column: Floats


class Extent(NamedTuple):
    """A range of time: start <= time < end."""

    start_us: int
    end_us: int


def extent_of(
    pool: Pool, device_id: int, sensor_ids: Sequence[int], start_us: int | None, end_us: int | None
) -> Extent | None:
    """Return the part of a range (None: unbounded) that holds datapoints of these components, or None."""
    with pool.connection() as conn:
        found = queries.datapoints_extent(conn, device_id=device_id, sensor_ids=list(sensor_ids))
    if found["first_time"] is None:
        return None
    first_us, beyond_us = to_us(found["first_time"]), to_us(found["last_time"]) + 1
    start_us = first_us if start_us is None else max(first_us, start_us)
    end_us = beyond_us if end_us is None else min(beyond_us, end_us)
    return Extent(start_us, end_us) if start_us < end_us else None


def read_slices(
    pool: Pool, device_id: int, sensor_ids: Sequence[int], extent: Extent, question: Question
) -> Iterator[Slice]:
    """Yield what the extent holds; the columns are sensor by sensor in the order of question.kinds."""
    if question.rollup is None:
        return _datapoints(pool, device_id, sensor_ids, extent, question)
    return _buckets(pool, device_id, sensor_ids, extent, question, question.rollup)


def _datapoints(
    pool: Pool, device_id: int, sensor_ids: Sequence[int], extent: Extent, question: Question
) -> Iterator[Slice]:
    most = max(1000, 4 * _TARGET // len(sensor_ids))
    window_us = _FIRST_WINDOW_US
    start_us = extent.start_us
    while start_us < extent.end_us:
        end_us = min(start_us + window_us, extent.end_us)
        started = time.monotonic()
        with pool.connection() as conn:
            rows = queries.datapoints_slice(
                conn,
                device_id=device_id,
                sensor_ids=list(sensor_ids),
                start=from_us(start_us),
                before=from_us(end_us),
                most=most,
                with_value=False in question.sides,
                with_raw=True in question.sides,
            )
        seconds = time.monotonic() - started
        if any(len(row["time"]) == most for row in rows) and end_us - start_us > 1:
            window_us = max(1, (end_us - start_us) // 4)
            continue
        if rows:
            calibration_ids = {
                row["sensor_id"]: set(np.unique(row["calibration_ids"]).tolist()) - {0}
                for row in rows
                if row["calibration_ids"] is not None
            }
            yield _joined(end_us, sensor_ids, question.kinds, _columns(rows, question.kinds), calibration_ids)
        count = sum(len(row["time"]) for row in rows)
        factor = min(4.0, _TARGET / max(count, 1), _TARGET_S / max(seconds, 0.001))
        window_us = min(_LARGEST_WINDOW_US, max(1, int((end_us - start_us) * max(0.25, factor))))
        start_us = end_us


def _columns(rows: Sequence[Row], kinds: Sequence[str]) -> Iterator[Part]:
    for row in rows:
        yield from (Part(row["sensor_id"], kind, row["time"], row[kind]) for kind in kinds)


def _buckets(
    pool: Pool, device_id: int, sensor_ids: Sequence[int], extent: Extent, question: Question, rollup: Rollup
) -> Iterator[Slice]:
    """Slices end where buckets do; the first and the last bucket hold what of them was asked for, as in history."""
    start_us = extent.start_us
    length_us = _BUCKETS * (rollup.duration.length // MICROSECOND)
    while start_us < extent.end_us:
        end_us = extent.end_us
        if start_us + length_us < end_us:
            end_us = int(rollup.edges(start_us + length_us, start_us + length_us)[0])
        with pool.connection() as conn:
            state = queries.history_state(
                conn,
                device_id=device_id,
                first_day=from_us(start_us).date(),
                last_day=from_us(end_us).date(),
                as_of=None,
                sensor_ids=[],
                keys=[],
            )
        refreshed_us, dirty_days = to_us(state["refreshed_until"]), frozenset(state["dirty_days"].tolist())
        parts: list[Part] = []
        for raw in question.sides:
            where = Selection(device_id, start_us, end_us, rollup, question.functions, raw, refreshed_us, dirty_days)
            for sensor_id, buckets in zip(sensor_ids, read_series(pool, where, sensor_ids), strict=True):
                parts += _parts(sensor_id, list(buckets), question.kinds_of(raw))
        if parts:
            yield _joined(end_us, sensor_ids, question.kinds, parts, {})
        start_us = end_us


def _parts(sensor_id: int, buckets: Sequence[Buckets], kinds: Sequence[str]) -> Iterator[Part]:
    if buckets:
        times = np.concatenate([part.time for part in buckets])[::-1]
        for number, kind in enumerate(kinds):
            column = np.concatenate([part.columns[number] for part in buckets])[::-1]
            yield Part(sensor_id, kind, times, column)


def _joined(
    end_us: int,
    sensor_ids: Sequence[int],
    kinds: Sequence[str],
    parts: Iterable[Part],
    calibration_ids: dict[int, set[int]],
) -> Slice:
    """Put the parts side by side: one row a time at which any of them has something."""
    parts = list(parts)
    times = parts[0].times
    if not all(part.times is times or np.array_equal(part.times, times) for part in parts):
        times = np.unique(np.concatenate([part.times for part in parts]))  # else a kit sent all of them together
    values = np.full((len(times), len(sensor_ids) * len(kinds)), np.nan)
    for part in parts:
        rows = slice(None) if len(part.times) == len(times) else np.searchsorted(times, part.times)
        values[rows, sensor_ids.index(part.sensor_id) * len(kinds) + kinds.index(part.kind)] = part.column
    return Slice(end_us, times, values, calibration_ids)
