"""Read the series of a device's components from the database, bucket by bucket, newest first, in flat memory."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.history.functions import Function
from app.history.moments import Moments, quantiles
from app.history.plan import RAW, Segment, coarsest_source, plan
from app.history.rollup import Rollup
from ingestor.times import from_us
from sql import Pool, queries
from sql.arrays import Floats, Times, floats_sent, times_sent

LARGEST_IN_BUCKETS = 1e100  # as in the aggregates: the squares of what is larger are beyond a double
MOST_ROWS_TOGETHER = 400_000  # of several components: some 30 MB


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read of a device: readings with start <= time < end (microseconds) as buckets, or as they are."""

    device_id: int
    start_us: int
    end_us: int
    rollup: Rollup | None  # None: no buckets
    functions: Sequence[Function]
    as_received: bool  # raw instead of processed values
    refreshed_us: int  # aggregates are complete up to here,
    dirty_days: frozenset[int]  # these days (from 1970 UTC) excepted


@dataclass(frozen=True, slots=True)
class Buckets:
    """Some of a series' buckets, newest first: their starts, a column a function (NaN: undefined), readings in each."""

    time: Times
    columns: list[Floats]
    n: Floats

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, part: slice) -> "Buckets":
        return Buckets(self.time[part], [column[part] for column in self.columns], self.n[part])


def read_series(pool: Pool, selection: Selection, sensor_ids: Sequence[int]) -> Iterator[Iterator[Buckets]]:
    """Yield for each sensor, in their order, the buckets that hold readings.

    Components are read together as far as memory allows, else one after the other. A connection is taken for each
    segment, not for as long as the answer takes. Use up each series before the next.
    """
    segments, edges = _planned(selection)
    together = max(1, MOST_ROWS_TOGETHER // max(1, sum(segment.rows for segment in segments)))
    for number in range(0, len(sensor_ids), together):
        group = sensor_ids[number : number + together]
        parts = (_read_segment(pool, selection, segment, group) for segment in segments)
        if len(group) == 1:
            yield _buckets(selection, edges, (part[group[0]] for part in parts if group[0] in part))
        else:
            held = list(parts)
            for sensor_id in group:
                yield _buckets(selection, edges, (part[sensor_id] for part in held if sensor_id in part))


def _planned(selection: Selection) -> tuple[list[Segment], Times | None]:
    """Return the segments to read, and the edges of the buckets where their distance varies."""
    if selection.start_us >= selection.end_us:
        return [], None
    source, edges, rollup = RAW, None, selection.rollup
    if rollup is not None:
        if rollup.step_us is None:
            edges = rollup.edges(selection.start_us, selection.end_us - 1)
        if not selection.as_received and _mergeable(selection):
            source = coarsest_source(rollup, edges)
    bounds = selection.start_us, selection.end_us, selection.refreshed_us
    return plan(source, *bounds, selection.dirty_days), edges


def _mergeable(selection: Selection) -> bool:
    return all(function.mergeable for function in selection.functions)


def _buckets(selection: Selection, edges: Times | None, parts: Iterable[Moments]) -> Iterator[Buckets]:
    """Gather moments into buckets; each part is held until the next one says which of its buckets go on there."""
    if selection.rollup is None:
        for moments in parts:
            yield Buckets(moments.time, [moments.last], moments.n)
        return
    held: Moments | None = None
    for part in parts:
        if held is None:
            held = part
            continue
        keys = _keys(selection.rollup, edges, held.time)
        # keys fall: those above the first one of what follows are complete
        complete = int(np.searchsorted(-keys, -_keys(selection.rollup, edges, part.time[:1])[0]))
        if complete:
            yield _answered(selection, held[:complete], keys[:complete])
        goes_on = held[complete:]
        if _mergeable(selection):
            goes_on = goes_on.grouped(keys[complete:])
        held = Moments.concatenate(goes_on, part)
    if held is not None:
        yield _answered(selection, held, _keys(selection.rollup, edges, held.time))


def _keys(rollup: Rollup, edges: Times | None, times: Times) -> Times:
    """Return the start of each time's bucket."""
    if edges is None:
        step = rollup.step_us or 1
        return times // step * step
    keys: Times = edges[np.searchsorted(edges, times, side="right") - 1]
    return keys


def _answered(selection: Selection, moments: Moments, keys: Times) -> Buckets:
    grouped = moments.grouped(keys)
    columns = [
        function.of(grouped) if function.quantile is None else quantiles(keys, moments.last, function.quantile)
        for function in selection.functions
    ]
    return Buckets(grouped.time, columns, grouped.n)


def _read_segment(pool: Pool, selection: Selection, segment: Segment, sensor_ids: Sequence[int]) -> dict[int, Moments]:
    """Return what each sensor has in a segment; sensors that have nothing are left out."""
    where: dict[str, Any] = {
        "device_id": selection.device_id,
        "sensor_ids": np.array(sensor_ids, np.int32),
        "start": from_us(segment.start_us),
        "before": from_us(segment.end_us),
    }
    with pool.connection() as conn:
        if segment.source is RAW:
            largest = LARGEST_IN_BUCKETS if selection.rollup else math.inf
            rows = queries.segment_raw(conn, **where, as_received=selection.as_received, largest=largest)
        else:
            whole = "_whole" if any(function.needs_whole for function in selection.functions) else ""
            rows = getattr(queries, f"segment_{segment.source.name}{whole}")(conn, **where)
    return {row.pop("sensor_id"): _moments(row) for row in rows}


def _moments(columns: dict[str, bytes]) -> Moments:
    """Return a row's columns newest first."""
    times = times_sent(columns.pop("time"))
    order = np.argsort(-times, kind="stable")  # timsort, which finds the runs that chunks are
    ordered = {name: floats_sent(column)[order] for name, column in columns.items()}
    if "value" in ordered:
        return Moments.of_readings(times[order], **ordered)
    return Moments.of_groups(times[order], **ordered)
