"""Times as devices and clients write them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.times import parse_time

zones = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
any_time = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001 - naive by its contract


@given(any_time)
def test_iso_8601_is_read_in_any_zone(time: datetime) -> None:
    assert parse_time(time.isoformat()) == time


@given(any_time, st.sampled_from(["T", " "]), st.sampled_from(["", " "]))
def test_a_time_without_leading_zeros_is_read_in_any_zone(time: datetime, middle: str, before_zone: str) -> None:
    east = int((time.utcoffset() or timedelta(0)).total_seconds()) // 60
    zone = f"{'-' if east < 0 else '+'}{abs(east) // 60:02}:{abs(east) % 60:02}"
    date, clock = (
        f"{time.year}-{time.month}-{time.day}",
        f"{time.hour}:{time.minute}:{time.second}.{time.microsecond:06}",
    )

    assert parse_time(f"{date}{middle}{clock}{before_zone}{zone}") == time


@given(any_time)
def test_unix_seconds_and_milliseconds_are_read(time: datetime) -> None:
    time = time.replace(microsecond=0)

    assert parse_time(int(time.timestamp())) == time
    assert parse_time(str(int(time.timestamp()))) == time
    if abs(time.timestamp()) > 1e8:
        assert parse_time(int(time.timestamp()) * 1000) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2001-01-01 00:00:00 00:00", datetime(2001, 1, 1, tzinfo=UTC)),
        ("2014-03-05 7:08:09", datetime(2014, 3, 5, 7, 8, 9, tzinfo=UTC)),
        ("2016-06-08 10:30:00 UTC", datetime(2016, 6, 8, 10, 30, tzinfo=UTC)),
        ("2026-1-5", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-15", datetime(2026, 1, 15, tzinfo=UTC)),
        ("2026-01-15T08:30:00.250Z", datetime(2026, 1, 15, 8, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-01-15 08:30:00 -03:00", datetime(2026, 1, 15, 11, 30, tzinfo=UTC)),
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-02", datetime(2026, 2, 1, tzinfo=UTC)),
        ("20260115", datetime(2026, 1, 15, tzinfo=UTC)),
    ],
    ids=[
        "a plus lost in a form",
        "kits 1.x",
        "UTC spelled out",
        "unpadded date",
        "date",
        "milliseconds",
        "zone",
        "year",
        "month",
        "date of digits",
    ],
)
def test_what_clients_really_send_is_read(text: str, time: datetime) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "08:30",
        "1e400",
        "nan",
        "2026-01-15T25:00:00Z",
        "9" * 40,
        "2026-1-15T08:30:00+24:00",
        "2026-1-15T08:30:00+23:60",
        "٢٠٢٦",
    ],
)
def test_what_is_no_time_is_shown_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time: send 2026-01-15T08:30:00Z or Unix seconds"):
        parse_time(text)


@given(st.text() | st.floats())
def test_nothing_but_a_value_error_comes_of_any_text(text: str | float) -> None:
    with suppress(ValueError):
        assert parse_time(text).tzinfo is not None
