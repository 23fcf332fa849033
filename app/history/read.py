"""Read the series of a device's components from the database, bucket by bucket, newest first, in flat memory."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Any, NamedTuple

import numpy as np
from psycopg import Cursor

from app.history.functions import Function
from app.history.moments import Moments, quantiles
from app.history.plan import DAY_US, RAW, Segment, coarsest_source, cut, plan
from app.history.rollup import Rollup
from ingestor.times import from_us
from sql import DictConnection, Pool, Row, queries, send
from sql.arrays import Floats, Times, floats_sent, times_sent

LARGEST_IN_BUCKETS = 1e100  # as in the aggregates: the squares of what is larger are beyond a double
MOST_ROWS_TOGETHER = 400_000  # of several components: some 30 MB
# Half a megabyte of JSON, which is sent whole: no client's slow line holds the connection that the rest is read by.
MOST_NUMBERS_AHEAD = 20_000
WORTH_HALVING = 2_000  # rows; one statement more takes as long as to read 600


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


class Ahead(NamedTuple):
    """The newest that an aggregate has, asked for before it was known of which days that holds."""

    segment: Segment
    rows: Cursor[Row]


def send_ahead(conn: DictConnection, selection: Selection, sensor_ids: Sequence[int]) -> Ahead | None:
    """Ask, within a pipeline, for what will be read of an aggregate if none of its days is dirty; None: better not.

    Of a long series that is its newer half: it becomes an answer while the server reads the older one.
    """
    if not sensor_ids or selection.rollup is None or selection.rollup.step_us is None:
        return None
    segments = [segment for segment in _planned(selection)[0] if segment.source is not RAW]
    rows = sum(segment.rows for segment in segments)
    if not segments or rows * len(sensor_ids) * (1 + len(selection.functions)) > MOST_NUMBERS_AHEAD:
        return None
    start_us, end_us = segments[-1].start_us, segments[0].end_us
    if len(sensor_ids) == 1 and rows > WORTH_HALVING:
        start_us = (start_us + end_us) // 2 // DAY_US * DAY_US
    newest = Segment(segments[0].source, start_us, end_us)
    return Ahead(newest, _send_segment(conn, selection, newest, sensor_ids))


def read_series(
    pool: Pool, selection: Selection, sensor_ids: Sequence[int], ahead: Ahead | None = None
) -> Iterator[Iterator[Buckets]]:
    """Yield for each sensor, in their order, the buckets that hold readings.

    Components are read together as far as memory allows, else one after the other. A connection is taken for each
    segment, not for as long as the answer takes; where something is ahead, for the rest. Use up each series before the
    next.
    """
    segments, edges = _planned(selection)
    known: dict[int, Moments] = {}
    if ahead is not None:
        segments = list(cut(segments, ahead.segment.start_us))
        known = _moments_of(ahead.rows.fetchall())
    together = max(1, MOST_ROWS_TOGETHER // max(1, sum(segment.rows for segment in segments)))
    for number in range(0, len(sensor_ids), together):
        group = sensor_ids[number : number + together]
        parts: Iterator[dict[int, Moments]]
        if ahead is None:
            parts = (_read_segment(pool, selection, segment, group) for segment in segments)
        else:
            parts = _read_rest(pool, selection, segments, group, ahead.segment, known)
        held = parts if len(group) == 1 else list(parts)
        for sensor_id in group:
            yield _buckets(selection, edges, (part.get(sensor_id) for part in held), len(segments))


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


def _buckets(
    selection: Selection, edges: Times | None, parts: Iterable[Moments | None], count: int
) -> Iterator[Buckets]:
    """Gather the `count` parts of a series, newest first, into buckets; None: nothing is there."""
    if selection.rollup is None:
        for moments in parts:
            if moments is not None:
                yield Buckets(moments.time, [moments.last], moments.n)
        return
    held: Moments | None = None
    for number, part in enumerate(parts, start=1):
        if part is not None:
            held = part if held is None else Moments.concatenate(held, part)
        if held is None or number == count:
            continue
        # What follows is older: of these buckets only the oldest may go on there. Keys fall.
        keys = _keys(selection.rollup, edges, held.time)
        complete = int(np.searchsorted(-keys, -keys[-1]))
        if complete:
            yield _answered(selection, held[:complete], keys[:complete])
        held = held[complete:]
        if _mergeable(selection):
            held = held.grouped(keys[complete:])
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


def _read_rest(
    pool: Pool,
    selection: Selection,
    segments: Sequence[Segment],
    sensor_ids: Sequence[int],
    ahead: Segment,
    known: dict[int, Moments],
) -> Iterator[dict[int, Moments]]:
    """Yield what each sensor has in each segment; the server reads the rest while what is known is worked on."""

    def part_of(segment: Segment) -> dict[int, Moments]:
        parts = {sensor_id: part.between(segment.start_us, segment.end_us) for sensor_id, part in known.items()}
        return {sensor_id: part for sensor_id, part in parts.items() if len(part)}

    unknown = [segment for segment in segments if not ahead.holds(segment)]
    rows = sum(segment.rows for segment in unknown) * len(sensor_ids)
    if not 0 < rows <= MOST_ROWS_TOGETHER:  # nothing, or after a large upload more than memory should hold
        for segment in segments:
            yield part_of(segment) if ahead.holds(segment) else _read_segment(pool, selection, segment, sensor_ids)
        return
    with pool.connection() as conn, conn.pipeline():
        sent = {segment: _send_segment(conn, selection, segment, sensor_ids) for segment in unknown}
        yield from map(part_of, takewhile(ahead.holds, segments))
    for segment in dropwhile(ahead.holds, segments):
        yield _moments_of(sent[segment].fetchall()) if segment in sent else part_of(segment)


def _read_segment(pool: Pool, selection: Selection, segment: Segment, sensor_ids: Sequence[int]) -> dict[int, Moments]:
    """Return what each sensor has in a segment; sensors that have nothing are left out."""
    with pool.connection() as conn:
        rows = _send_segment(conn, selection, segment, sensor_ids).fetchall()
    return _moments_of(rows)


def _send_segment(
    conn: DictConnection, selection: Selection, segment: Segment, sensor_ids: Sequence[int]
) -> Cursor[Row]:
    where: dict[str, Any] = {
        "device_id": selection.device_id,
        "sensor_ids": np.array(sensor_ids, np.int32),
        "start": from_us(segment.start_us),
        "before": from_us(segment.end_us),
    }
    if segment.source is RAW:
        largest = LARGEST_IN_BUCKETS if selection.rollup else math.inf
        return send(conn, queries.segment_raw, **where, as_received=selection.as_received, largest=largest)
    whole = "_whole" if any(function.needs_whole for function in selection.functions) else ""
    return send(conn, getattr(queries, f"segment_{segment.source.name}{whole}"), **where)


def _moments_of(rows: Iterable[Row]) -> dict[int, Moments]:
    """Return what each sensor has in the rows of a segment."""
    return {row.pop("sensor_id"): _moments(row) for row in rows}


def _moments(columns: dict[str, bytes]) -> Moments:
    """Return a row's columns newest first."""
    times = times_sent(columns.pop("time"))
    order = np.argsort(-times, kind="stable")  # timsort, which finds the runs that chunks are
    ordered = {name: floats_sent(column)[order] for name, column in columns.items()}
    if "value" in ordered:
        return Moments.of_readings(times[order], **ordered)
    return Moments.of_groups(times[order], **ordered)
