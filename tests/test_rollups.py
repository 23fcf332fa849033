"""The rollup engine alone: which buckets there are, where they are read from, how they are made, what fills gaps."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import history_reference as reference
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.history.fill import MOST_BUCKETS, Fill, TooManyBucketsError, grid, on_grid
from app.history.functions import FUNCTIONS
from app.history.moments import Moments, quantiles
from app.history.plan import AGGREGATES, DAY_US, RAW, Source, coarsest_source, plan
from app.history.read import Buckets
from app.history.rollup import Duration, Rollup
from ingestor.times import from_us, to_us

HOUR_US = 3_600_000_000
ZONES = (
    "UTC",
    "Europe/Madrid",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
    "Asia/Beirut",
)
FIRST_US, LAST_US = to_us(datetime(2010, 1, 1, tzinfo=UTC)), to_us(datetime(2030, 1, 1, tzinfo=UTC))

times_us = st.integers(FIRST_US, LAST_US)
calendar_rollups = st.builds(
    lambda count, unit, zone: Rollup(Duration(count, unit), ZoneInfo(zone)),
    st.integers(1, 14),
    st.sampled_from("dwMy"),
    st.sampled_from(ZONES),
)
even_rollups = st.builds(
    lambda count, unit: Rollup(Duration(count, unit), ZoneInfo("UTC")), st.integers(1, 3000), st.sampled_from("smhd")
)
values = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h", "d", "w", "M", "y"]))
def test_a_duration_is_written_as_it_was_read(count: int, unit: str) -> None:
    text = f"{count}{unit}"
    if Duration(count, unit).length <= timedelta(days=36525):
        assert str(Duration.parse(text)) == text


@pytest.mark.parametrize("text", ["", "h", "1", "-1h", "1.5h", "1H", "1h ", "1h\n", "١h", "1000y", "9999999999s"])
def test_what_is_no_duration_is_refused_with_the_text_that_was_sent(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        Duration.parse(text)


@given(st.one_of(calendar_rollups, even_rollups), times_us, st.integers(0, 400), st.floats(0, 1), st.booleans())
@example(
    Rollup(Duration(1, "d"), ZoneInfo("Pacific/Apia")), to_us(datetime(2011, 12, 28, tzinfo=UTC)), 5, 0.5, False
)  # over a day that Samoa did not have
def test_a_time_lies_in_the_bucket_that_the_calendar_says(
    rollup: Rollup, start_us: int, days: int, part: float, to_an_edge: bool
) -> None:
    end_us = start_us + min(days * DAY_US, 10_000 * int(rollup.duration.length / timedelta(microseconds=1)))
    if to_an_edge:
        end_us = int(rollup.edges(start_us, end_us)[-1])
    edges = rollup.edges(start_us, end_us)
    assert edges[0] <= start_us
    assert end_us < edges[-1]
    assert (np.diff(edges) > 0).all()
    assert len(edges) < 3 or (start_us < edges[1] and edges[-2] <= end_us)

    within_us = start_us + int((end_us - start_us) * part)
    start = from_us(int(edges[np.searchsorted(edges, within_us, side="right") - 1]))
    duration = rollup.duration
    assert start == reference.bucket_start(from_us(within_us), duration.count, duration.unit, rollup.zone)


@given(st.one_of(calendar_rollups, even_rollups), times_us, st.integers(1, 60))
@example(
    Rollup(Duration(1, "d"), ZoneInfo("Europe/London")), to_us(datetime(2026, 3, 1, tzinfo=UTC)), 60
)  # from winter on
def test_the_source_is_the_coarsest_whose_buckets_straddle_no_edge(rollup: Rollup, start_us: int, days: int) -> None:
    edges = rollup.edges(start_us, start_us + days * DAY_US)
    source = coarsest_source(rollup, None if rollup.step_us else edges)
    straddling = {each for each in AGGREGATES if (edges % each.width_us).any()}

    assert source not in straddling
    if rollup.step_us is None:  # for all edges that were looked at
        assert all(each in straddling for each in AGGREGATES if each.width_us > source.width_us)
    else:  # for whatever range
        assert all(rollup.step_us % each.width_us for each in AGGREGATES if each.width_us > source.width_us)


@given(
    st.sampled_from([RAW, *AGGREGATES]),
    times_us,
    st.integers(1, 12 * 96).map(lambda quarters: quarters * 900_000_000 + quarters % 3),
    st.one_of(st.just(20 * DAY_US), st.integers(-DAY_US, 13 * DAY_US)),
    st.sets(st.integers(-1, 13), max_size=4),
)
def test_a_plan_covers_its_range_once_and_reads_what_is_not_refreshed_from_the_datapoints(
    source: Source, start_us: int, length_us: int, refreshed_after_us: int, dirty: set[int]
) -> None:
    end_us, refreshed_us = start_us + length_us, start_us + refreshed_after_us
    dirty_days = {start_us // DAY_US + day for day in dirty}

    segments = plan(source, start_us, end_us, refreshed_us, dirty_days)

    assert [segment.start_us for segment in segments] == [segment.end_us for segment in segments[1:]] + [start_us]
    assert segments[0].end_us == end_us
    for segment in segments:
        assert segment.start_us < segment.end_us <= segment.start_us + segment.source.window_us
        if segment.source is not RAW:
            assert segment.source is source
            assert segment.start_us % source.width_us == segment.end_us % source.width_us == 0
            assert segment.end_us <= refreshed_us
            assert dirty_days.isdisjoint(range(segment.start_us // DAY_US, -(-segment.end_us // DAY_US)))
    from_raw_us = sum(segment.end_us - segment.start_us for segment in segments if segment.source is RAW)
    if source is not RAW and not dirty_days and refreshed_us >= end_us:
        assert from_raw_us < 2 * source.width_us  # the broken buckets at both ends


def series(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return times that fall, an hour and more apart, and their values."""
    sent = draw(st.lists(st.tuples(st.integers(1, 5), values), min_size=1, max_size=40))
    hours = np.cumsum([apart for apart, _ in sent])[::-1]
    return hours * HOUR_US, np.array([value for _, value in sent])


@given(st.data(), st.integers(1, 5), st.integers(1, 5))
def test_a_group_is_what_its_functions_say_of_its_readings_however_it_was_put_together(
    data: st.DataObject, hours: int, parts: int
) -> None:
    times, column = series(data.draw)  # type: ignore[arg-type]
    part_us = hours * HOUR_US
    of_parts = Moments.of_readings(times, column).grouped(times // part_us * part_us)
    groups = of_parts.grouped(of_parts.time // (parts * part_us))
    keys = times // (parts * part_us)
    readings = [column[keys == key].tolist()[::-1] for key in dict.fromkeys(keys)]  # oldest first

    assert len(groups) == len(readings)
    for name, function in FUNCTIONS.items():
        expected = [reference.FUNCTIONS[name](group) for group in readings]
        of_none = [math.nan if value is None else value for value in expected]
        assert function.of(groups) == pytest.approx(of_none, rel=1e-9, abs=1e-6, nan_ok=True), name


@given(st.data(), st.floats(0, 1))
def test_a_quantile_is_numpys(data: st.DataObject, quantile: float) -> None:
    times, column = series(data.draw)  # type: ignore[arg-type]
    keys = times // (6 * HOUR_US)
    expected = [np.quantile(column[keys == key], quantile) for key in dict.fromkeys(keys)]

    assert quantiles(keys, column, quantile) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def filled_plainly(
    known: dict[int, float], starts: list[int], fill: Fill, max_gap_us: int | None
) -> list[float | None]:
    """Fill the empty buckets of a grid, looking at one at a time."""
    column: list[float | None] = []
    for start in starts:
        before = max((each for each in known if each <= start), default=None)
        after = min((each for each in known if each >= start), default=None)
        if start in known or fill is Fill.NULL or before is None or (fill is Fill.LINEAR and after is None):
            column.append(known.get(start))
            continue
        gap_us = (after if fill is Fill.LINEAR and after is not None else start) - before
        if max_gap_us is not None and gap_us > max_gap_us:
            column.append(None)
        elif fill is Fill.LOCF or after is None:
            column.append(known[before])
        else:
            column.append(known[before] + (known[after] - known[before]) * (start - before) / gap_us)
    return column


@given(
    st.dictionaries(st.integers(0, 30), values, max_size=12),
    st.sampled_from(Fill),
    st.one_of(st.none(), st.integers(0, 12)),
)
def test_every_bucket_of_a_grid_is_there_once_and_filled_as_asked(
    readings: dict[int, float], fill: Fill, max_gap_h: int | None
) -> None:
    starts = grid(Rollup(Duration(1, "h"), ZoneInfo("UTC")), 0, 31 * HOUR_US)
    newest_first = sorted(readings, reverse=True)
    columns = np.array(newest_first, np.int64) * HOUR_US, np.array([readings[hour] for hour in newest_first])
    parts = [Buckets(columns[0], [columns[1]], np.ones(len(readings)))] if readings else []
    max_gap_us = None if max_gap_h is None else max_gap_h * HOUR_US

    filled = on_grid(parts, 1, starts, fill, max_gap_us)

    assert filled.time.tolist() == [hour * HOUR_US for hour in reversed(range(31))]
    known = {hour * HOUR_US: value for hour, value in readings.items()}
    expected = filled_plainly(known, starts.tolist(), fill, max_gap_us)[::-1]
    got = [None if math.isnan(value) else value for value in filled.columns[0].tolist()]
    assert got == [value if value is None else pytest.approx(value, rel=1e-9, abs=1e-6) for value in expected]
    assert filled.n.sum() == len(readings)


@given(calendar_rollups, times_us, st.integers(1, 2000))
def test_a_grid_is_the_buckets_that_touch_its_range(rollup: Rollup, start_us: int, days: int) -> None:
    starts = grid(rollup, start_us, start_us + days * DAY_US)
    touching = {
        reference.bucket_start(
            from_us(start_us + day * DAY_US), rollup.duration.count, rollup.duration.unit, rollup.zone
        )
        for day in range(days)
    }
    assert touching <= {from_us(int(start)) for start in starts}
    assert starts[0] <= start_us
    assert starts[-1] < start_us + days * DAY_US


def test_a_grid_of_too_many_buckets_is_refused_with_a_rollup_that_fits() -> None:
    year_us = 365 * DAY_US
    with pytest.raises(TooManyBucketsError, match="rollup=5m fits"):
        grid(Rollup(Duration(1, "m"), ZoneInfo("UTC")), 0, year_us)
    assert len(grid(Rollup(Duration(5, "m"), ZoneInfo("UTC")), 0, year_us)) == 105_120 <= MOST_BUCKETS
