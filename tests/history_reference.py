"""What history should answer, computed as slowly and plainly as can be: one reading at a time, in exact arithmetic."""

import math
import statistics
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEPS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}
FUNCTIONS: Mapping[str, Callable[[list[float]], float | None]] = {  # of the values of a bucket, oldest first
    "avg": lambda values: math.fsum(values) / len(values),
    "max": max,
    "min": min,
    "sum": math.fsum,
    "count": len,
    "dev": lambda values: statistics.stdev(values) if len(values) > 1 else None,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "median": statistics.median,
    "p90": lambda values: float(np.quantile(values, 0.9)),
}


def bucket_start(time: datetime, count: int, unit: str, zone: ZoneInfo) -> datetime:
    """Return the start of the bucket that a time lies in, in UTC."""
    if unit in STEPS:
        step = count * STEPS[unit]
        return EPOCH + (time - EPOCH) // step * step
    day = time.astimezone(zone).date()
    if unit == "d":
        first = EPOCH.date() + (day - EPOCH.date()) // timedelta(days=count) * timedelta(days=count)
    elif unit == "w":
        monday = date(1970, 1, 5)
        first = monday + (day - monday) // timedelta(weeks=count) * timedelta(weeks=count)
    elif unit == "M":
        month = ((day.year - 1970) * 12 + day.month - 1) // count * count
        first = date(1970 + month // 12, month % 12 + 1, 1)
    else:
        first = date(1970 + (day.year - 1970) // count * count, 1, 1)
    return first_moment(first, zone)


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """Return the first minute of a day in a zone: looked for, not reckoned."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while moment.astimezone(zone).date() < day:
        moment += timedelta(minutes=15)
    return moment


def buckets(
    readings: Mapping[datetime, float], start: datetime, end: datetime, count: int, unit: str, zone: ZoneInfo
) -> dict[datetime, list[float]]:
    """Return the values of each bucket that holds readings with start <= time <= end, oldest first."""
    of_bucket: dict[datetime, list[float]] = {}
    for time in sorted(readings):
        if start <= time <= end:
            of_bucket.setdefault(bucket_start(time, count, unit, zone), []).append(readings[time])
    return of_bucket
