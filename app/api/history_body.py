"""Write one component's history as JSON, piece by piece as it is read."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from app.api.history_query import Question
from app.api.respond import to_json
from app.history.fill import Fill, grid, on_grid
from app.history.plan import DAY_US
from app.history.read import Buckets, Series, read_buckets
from app.history.rollup import to_us
from sql import Pool
from sql.arrays import Times

_SHORTEST_PADDED_US = 600 * 1_000_000  # all_intervals counts from ten minutes up, as on the platform it comes from


class Component(NamedTuple):
    """A component that was asked for; without an id the device has none of that name."""

    id: int | None
    sensor_id: int | None
    key: str | None
    first_time: datetime | None = None
    latest_time: datetime | None = None
    interval_s: float | None = None  # the usual distance of its readings


def columns_of(question: Question) -> list[str]:
    """Name the items of each row of `readings`."""
    values = [function.name for function in question.functions] if question.rollup else ["value"]
    return ["time", *values, *(("n", "expected") if question.coverage else ())]


def series_body(pool: Pool, question: Question, component: Component, dirty_days: frozenset[int]) -> Iterator[bytes]:
    """Return the members of a JSON object without its braces; what can fail by the question fails before the first.

    Raises TooManyBucketsError.
    """
    starts = _grid(question)
    parts = _limited(_buckets(pool, question, component, dirty_days, starts), question.limit)
    first = list(islice(parts, 1))
    return _body(question, component, chain(first, parts))


def _body(question: Question, component: Component, parts: Iterable[Buckets]) -> Iterator[bytes]:
    yield b'"sensor_id":%b,"sensor_key":%b,"component_id":%b,"readings":[' % (
        to_json(component.sensor_id),
        to_json(component.key),
        to_json(component.id),
    )
    sample_size, comma = 0, b""
    for part in parts:
        sample_size += int(part.n.sum())
        rows = list(zip(*_columns(question, component, part), strict=True))
        if rows:
            yield comma + to_json(rows, microseconds=True)[1:-1]
            comma = b","
    yield b'],"sample_size":%d' % sample_size


def _columns(question: Question, component: Component, part: Buckets) -> Iterator[list[Any]]:
    yield local_times(question, part.time)
    for function, column in zip(question.functions, part.columns, strict=True):
        # a count is a whole number, and null where a filled grid has none
        whole = function.name == "count" and question.rollup and not np.isnan(column).any()
        yield (column.astype(np.int64) if whole else column).tolist()
    if question.coverage:
        yield part.n.astype(np.int64).tolist()
        yield _expected(question, component, part)


def _expected(question: Question, component: Component, part: Buckets) -> list[float | None]:
    if question.rollup is None or not component.interval_s or not len(part.time):
        return [None] * len(part.time)
    edges = question.rollup.edges(int(part.time[-1]), int(part.time[0]))
    lengths = edges[np.searchsorted(edges, part.time) + 1] - part.time
    expected: list[float | None] = np.maximum(1, np.round(lengths / (component.interval_s * 1e6))).astype(int).tolist()
    return expected


def local_times(question: Question, times: Times) -> list[datetime]:
    """Return UTC times without a zone, or on request with the offset of the zone asked for."""
    naive: list[datetime] = times.astype("datetime64[us]").tolist()
    if not question.localtimes:
        return naive
    return [time.replace(tzinfo=UTC).astimezone(question.zone) for time in naive]


def _grid(question: Question) -> Times | None:
    """Return the buckets that must all be there, or None where only those with readings are."""
    if question.rollup is None:
        return None
    padded = question.all_intervals and question.rollup.duration.length.total_seconds() * 1e6 >= _SHORTEST_PADDED_US
    if question.fill is None and not padded:
        return None
    return grid(question.rollup, question.start_us, question.end_us)


def _buckets(
    pool: Pool, question: Question, component: Component, dirty_days: frozenset[int], starts: Times | None
) -> Iterator[Buckets]:
    if component.sensor_id is None or component.latest_time is None or component.first_time is None:
        parts: Iterator[Buckets] = iter(())
    else:
        # Clients ask for 25 years of a device made last spring: plan for the days there are.
        first_day = to_us(component.first_time) // DAY_US * DAY_US
        last_day = to_us(component.latest_time) // DAY_US * DAY_US
        series = Series(
            question.device_id,
            component.sensor_id,
            max(question.start_us, first_day),
            min(question.end_us, last_day + DAY_US),
            question.rollup,
            question.functions,
            question.as_received,
            dirty_days,
        )
        parts = read_buckets(pool, series)
    if starts is None or question.rollup is None:
        return parts
    max_gap_us = None if question.max_gap is None else int(question.max_gap.length.total_seconds() * 1e6)
    whole = on_grid(list(parts), len(question.functions), starts, question.fill or Fill.NULL, max_gap_us)
    return iter((whole,))


def _limited(parts: Iterator[Buckets], limit: int | None) -> Iterator[Buckets]:
    """Pass the newest `limit` buckets on, and read no further."""
    left = limit
    for part in parts:
        if left is None:
            yield part
        else:
            yield Buckets(part.time[:left], [column[:left] for column in part.columns], part.n[:left])
            left -= len(part.time)
            if left <= 0:
                return
