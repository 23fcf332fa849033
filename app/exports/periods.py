"""The days or months of a time zone. Pure."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.history.rollup import Duration, Rollup
from ingestor.times import from_us

_DAY_US = 86_400_000_000
_UNITS = {"day": "d", "month": "M"}


class Period(NamedTuple):
    """A day or month: start <= time < end, in microseconds."""

    start_us: int
    end_us: int


def periods(kind: str, zone: ZoneInfo, start_us: int, end_us: int) -> list[Period]:
    """Return those that begin before `end_us` and end after `start_us`."""
    edges = Rollup(Duration(1, _UNITS[kind]), zone).edges(start_us, end_us - 1).tolist()
    return [Period(*pair) for pair in pairwise(edges)]


def periods_of_days(kind: str, zone: ZoneInfo, days: Iterable[date]) -> Iterator[Period]:
    """Yield the periods that share a moment with any of these days of UTC."""
    for day in days:
        start_us = (day - date(1970, 1, 1)).days * _DAY_US
        yield from periods(kind, zone, start_us, start_us + _DAY_US)


def name_of(period: Period, kind: str, zone: ZoneInfo) -> str:
    """Return `2026-01` or `2026-01-15`."""
    start = from_us(period.start_us).astimezone(zone)
    return f"{start:%Y-%m-%d}" if kind == "day" else f"{start:%Y-%m}"
