"""Write the history of components as JSON, piece by piece as it is read."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from app.api.history_query import Question
from app.api.respond import to_json
from app.history.expected import Pace, expected_readings
from app.history.fill import Fill, on_grid
from app.history.plan import DAY_US
from app.history.read import Ahead, Buckets, Selection, read_series, send_ahead
from ingestor.times import from_us, to_us
from sql import DictConnection, Pool, Row, queries
from sql.arrays import Times

_ROWS_A_PIECE = 10_000


class Component(NamedTuple):
    """A component that was asked for; without an id the device has none of that name."""

    id: int | None
    sensor_id: int | None
    key: str | None
    latest_us: int | None = None  # of its readings
    interval: float | None = None  # seconds from one reading to the next, as its kit says


class _Pace(NamedTuple):
    """How often a component reads."""

    usual_s: float | None  # as its kit says, else as it did in what was asked for
    told: list[Pace]  # since it was told otherwise


def columns_of(question: Question) -> list[str]:
    """Name the items of each row of `readings`."""
    values = [function.name for function in question.functions] if question.rollup else ["value"]
    return ["time", *values, *(("n", "expected") if question.coverage else ())]


def ask_ahead(conn: DictConnection, question: Question, sensor_ids: Sequence[int]) -> Ahead | None:
    """Ask, within a pipeline, for what is read if the device has readings throughout, and none of them late."""
    end_us = -(-question.end_us // DAY_US) * DAY_US  # as far as _selection may go
    return send_ahead(conn, _between(question, question.start_us, end_us, end_us, frozenset()), sensor_ids)


def history_body(
    pool: Pool,
    question: Question,
    about: Row,
    components: Sequence[Component],
    state: Row,
    starts: Times | None,
    ahead: Ahead | None,
) -> Iterator[bytes]:
    """Yield the answer in pieces; `starts`: the buckets that must all be there, None: only those with readings."""
    yield to_json(about)[:-1] + (b',"series":[' if len(components) > 1 else b",")
    selection = _selection(question, components, state)
    known = [
        component for component in components if component.sensor_id is not None and component.latest_us is not None
    ]
    series = read_series(pool, selection, [component.sensor_id for component in known if component.sensor_id], ahead)
    for number, component in enumerate(components):
        parts = next(series) if component in known else iter(())
        if len(components) > 1:
            yield b"{" if number == 0 else b"},{"
        yield from _members(pool, question, component, _finished(question, parts, starts))
    yield b"}]}" if len(components) > 1 else b"}"


def _selection(question: Question, components: Sequence[Component], state: Row) -> Selection:
    """Bring the range to the days there are: clients ask for 25 years of a device made last spring.

    Where it ends between the last reading and the end of that day, it goes to that end if aggregates do: they then
    answer for the day, where half of it had to be read from the datapoints.
    """
    latest = max((component.latest_us or 0 for component in components), default=0)
    first = to_us(state["first_reading_at"]) if state["first_reading_at"] is not None else question.start_us
    refreshed_us = to_us(state["refreshed_until"])
    last_day_ends_us = latest // DAY_US * DAY_US + DAY_US
    end_us = min(question.end_us, last_day_ends_us)
    if latest < end_us and last_day_ends_us <= refreshed_us:
        end_us = last_day_ends_us
    start_us = max(question.start_us, first // DAY_US * DAY_US)
    return _between(question, start_us, end_us, refreshed_us, frozenset(state["dirty_days"].tolist()))


def _between(
    question: Question, start_us: int, end_us: int, refreshed_us: int, dirty_days: frozenset[int]
) -> Selection:
    what = question.rollup, question.functions, question.as_received
    return Selection(question.device_id, start_us, end_us, *what, refreshed_us, dirty_days)


def _finished(question: Question, parts: Iterator[Buckets], starts: Times | None) -> Iterator[Buckets]:
    """Put buckets on the grid where one is asked for, then keep the newest `limit`; reads no further than those."""
    if starts is not None:
        max_gap_us = None if question.max_gap is None else to_us(from_us(0) + question.max_gap.length)
        parts = iter((on_grid(list(parts), len(question.functions), starts, question.fill or Fill.NULL, max_gap_us),))
    left = question.limit
    for part in parts:
        if left is None:
            yield part
        else:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return


def _members(pool: Pool, question: Question, component: Component, parts: Iterator[Buckets]) -> Iterator[bytes]:
    """Yield the members of a series without the braces around them."""
    names = {"sensor_id": component.sensor_id, "sensor_key": component.key, "component_id": component.id}
    yield to_json(names)[1:-1] + b',"readings":['
    pace = _pace(pool, question, component) if question.coverage else None
    sample_size, comma = 0, b""
    for part in chain.from_iterable(map(_pieces, parts)):
        sample_size += int(part.n.sum())
        rows = list(zip(*_columns(question, pace, part), strict=True))
        yield comma + to_json(rows, microseconds=True)[1:-1]
        comma = b","
    yield b'],"sample_size":%d' % sample_size


def _pieces(part: Buckets) -> Iterator[Buckets]:
    for start in range(0, len(part), _ROWS_A_PIECE):
        yield part[start : start + _ROWS_A_PIECE]


def _columns(question: Question, pace: _Pace | None, part: Buckets) -> Iterator[Sequence[Any]]:
    """Yield the columns of `readings`."""
    yield local_times(question, part.time)
    for function, column in zip(question.functions, part.columns, strict=True):
        # a count is a whole number, but not where it fills a gap, and null where a grid has none
        whole = function.name == "count" and question.rollup and not (column % 1).any()
        yield (column.astype(np.int64) if whole else column).tolist()
    if pace is not None:
        yield part.n.astype(np.int64).tolist()
        yield _expected(question, pace, part.time)


def _expected(question: Question, pace: _Pace, starts: Times) -> Sequence[int | None]:
    """Return how many readings each bucket should hold, of that part of it which was asked for."""
    if question.rollup is None or not len(starts):
        return [None] * len(starts)
    edges = question.rollup.edges(int(starts[-1]), int(starts[0]))
    ends = np.minimum(edges[np.searchsorted(edges, starts) + 1], question.end_us)
    return expected_readings(pace.told, pace.usual_s, np.maximum(starts, question.start_us), ends)


def _pace(pool: Pool, question: Question, component: Component) -> _Pace:
    device_id, sensor_id, usual_s = question.device_id, component.sensor_id, component.interval
    with pool.connection() as conn:
        if usual_s is None:
            between = {"start": from_us(question.start_us), "before": from_us(question.end_us)}
            usual_s = queries.reading_interval(conn, device_id=device_id, sensor_id=sensor_id, **between)
        told = queries.paces_of_components(conn, device_id=device_id, sensor_ids=[sensor_id])
    return _Pace(usual_s, [Pace(row["since"], row["enabled"], row["interval"]) for row in told])


def local_times(question: Question, times: Times) -> list[datetime]:
    """Return UTC times without a zone, or on request with the offset of the zone asked for."""
    naive: list[datetime] = times.astype("datetime64[us]").tolist()
    if not question.localtimes:
        return naive
    return [time.replace(tzinfo=UTC).astimezone(question.zone) for time in naive]
