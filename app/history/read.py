"""Read one series of a component from the database, bucket by bucket, newest first, in flat memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from app.history.functions import Function
from app.history.moments import Moments, quantiles
from app.history.plan import RAW, Segment, coarsest_source, plan
from app.history.rollup import Rollup, from_us
from sql import DictConnection, Pool, queries
from sql.arrays import Floats, Times

# A range is cut to the readings there are before it is planned: clients ask for 25 years of a device made last spring.
_NO_TIMES: Times = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Series:
    """What to read: the readings of a component with start <= time < end (microseconds) as buckets, or as they are."""

    device_id: int
    sensor_id: int
    start_us: int
    end_us: int
    rollup: Rollup | None  # None: no buckets
    functions: Sequence[Function]
    as_received: bool  # raw instead of processed values
    dirty_days: frozenset[int]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Some of a series' buckets, newest first: their starts, a column a function (NaN: undefined), readings in each."""

    time: Times
    columns: list[Floats]
    n: Floats


def read_buckets(pool: Pool, series: Series) -> Iterator[Buckets]:
    """Yield the buckets that hold readings; a connection is taken for each segment, not for as long as one reads."""
    edges = None
    source = RAW
    if series.rollup is not None and series.start_us < series.end_us:
        if series.rollup.step_us is None:
            edges = series.rollup.edges(series.start_us, series.end_us - 1)
        if not series.as_received and all(function.mergeable for function in series.functions):
            source = coarsest_source(series.rollup, edges)
    readings = _Readings(series, edges)
    for segment in plan(source, series.start_us, series.end_us, series.dirty_days):
        with pool.connection() as conn:
            moments = _read_segment(conn, series, segment)
        if moments is not None:
            yield from readings.feed(moments)
    yield from readings.finish()


class _Readings:
    """Gathers moments into buckets; holds back the oldest, which the next segment may continue."""

    def __init__(self, series: Series, edges: Times | None) -> None:
        self._series = series
        self._edges = edges
        self._held: Moments | None = None
        self._mergeable = all(function.mergeable for function in series.functions)

    def feed(self, moments: Moments) -> Iterator[Buckets]:
        if self._series.rollup is None:
            yield self._buckets(moments, moments.time)
            return
        if self._held is not None:
            moments = Moments.concatenate(self._held, moments)
        keys = self._keys(moments.time)
        # keys fall: those above the last one are complete
        complete = int(np.searchsorted(-keys, -keys[-1]))
        if complete:
            yield self._buckets(moments[:complete], keys[:complete])
        held = moments[complete:]
        self._held = held.grouped(keys[complete:]) if self._mergeable else held

    def finish(self) -> Iterator[Buckets]:
        if self._held is not None:
            yield self._buckets(self._held, self._keys(self._held.time))

    def _keys(self, times: Times) -> Times:
        rollup = self._series.rollup
        step = rollup.step_us if rollup else None
        if step is not None:
            return times // step * step
        edges = self._edges if self._edges is not None else _NO_TIMES
        keys: Times = edges[np.searchsorted(edges, times, side="right") - 1]
        return keys

    def _buckets(self, moments: Moments, keys: Times) -> Buckets:
        grouped = moments.grouped(keys)
        columns = [
            function.of(grouped) if function.quantile is None else quantiles(keys, moments.first, function.quantile)
            for function in self._series.functions
        ]
        return Buckets(grouped.time, columns, grouped.n)


def _read_segment(conn: DictConnection, series: Series, segment: Segment) -> Moments | None:
    where: dict[str, Any] = {
        "device_id": series.device_id,
        "sensor_id": series.sensor_id,
        "start": from_us(segment.start_us),
        "before": from_us(segment.end_us),
    }
    if segment.source is RAW:
        row = queries.segment_raw(conn, **where, as_received=series.as_received)
        return None if row["time"] is None else Moments.of_readings(row["time"], row["value"])
    whole = any(function.needs_whole for function in series.functions)
    row = getattr(queries, f"segment_{segment.source.name}")(conn, **where, whole=whole)
    if row["time"] is None:
        return None
    unread = row["sum"]  # a column that no function looks at
    return Moments(**{name: unread if column is None else column for name, column in row.items()})


def first_time(conn: DictConnection, device_id: int, sensor_id: int) -> datetime | None:
    """Return the time of a component's first reading, or None."""
    time: datetime | None = queries.first_time(conn, device_id=device_id, sensor_id=sensor_id)
    return time
