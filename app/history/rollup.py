"""Buckets as asked for: `15m`, `1d` in Europe/Madrid, `337s`. Pure: times are int64 microseconds since 1970 UTC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ingestor.times import from_us, to_us
from sql.arrays import Times

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_STEPS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}
_CALENDAR = {"d": "days", "w": "weeks", "M": "months", "y": "years"}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d|w|M|y)", re.ASCII)
_DAYS = {"d": 1, "w": 7, "M": 30.4375, "y": 365.25}
_LONGEST = timedelta(days=365.25 * 100)
_MONDAY = date(1970, 1, 5).toordinal()


@dataclass(frozen=True, slots=True)
class Duration:
    """A number of one unit, as `<int><unit>` on the wire; the units are ms s m h d w M y."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Raises ValueError with a message that shows the text and what is understood."""
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is no duration: send a number and one of ms s m h d w M y, as in 15m")
        duration = cls(int(match[1]), match[2])
        if duration.length > _LONGEST:
            raise ValueError(f"{text!r} is longer than 100 years")
        return duration

    @property
    def length(self) -> timedelta:
        """Its length; of months and years the mean one."""
        step = _STEPS.get(self.unit)
        return self.count * (step if step is not None else timedelta(days=_DAYS[self.unit]))

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


@dataclass(frozen=True, slots=True)
class Rollup:
    """Consecutive buckets of one duration, each from its start up to the next one's.

    Below a day they are aligned in UTC: an hour of the local clock comes twice in autumn, and two hours in one bucket
    are what nobody asked for. Days, weeks (from Monday), months and years are the zone's own, 23- and 25-hour days
    included. Several of a unit are counted from 1970.
    """

    duration: Duration
    zone: ZoneInfo

    @property
    def step_us(self) -> int | None:
        """The length of every bucket in microseconds, or None where it varies."""
        step = _STEPS.get(self.duration.unit)
        if self.duration.unit == "d" and self.zone.key == "UTC":
            step = timedelta(days=1)
        return None if step is None else self.duration.count * step // MICROSECOND

    def edges(self, start_us: int, end_us: int) -> Times:
        """Return the starts of all buckets that touch [start, end], ascending, and the end of the last."""
        step = self.step_us
        if step is not None:
            first = start_us // step * step
            return np.arange(first, end_us // step * step + 2 * step, step, dtype=np.int64)
        starts = self._calendar(from_us(start_us).astimezone(self.zone).date())
        edges = [self._midnight(next(starts))]
        while edges[-1] <= end_us:
            edges.append(self._midnight(next(starts)))
        return np.unique(np.array(edges, dtype=np.int64))  # Samoa had no 30 December 2011: such a day is no bucket

    def buckets_between(self, start_us: int, end_us: int) -> int:
        """Return about how many buckets lie in the range, without making them."""
        return int((end_us - start_us) * MICROSECOND / self.duration.length) + 1

    def _calendar(self, day: date) -> Iterator[date]:
        """Yield the first local days of buckets, from the one that holds `day`."""
        count = self.duration.count
        if self.duration.unit in ("d", "w"):
            length = count * (7 if self.duration.unit == "w" else 1)
            origin = _MONDAY if self.duration.unit == "w" else EPOCH.toordinal()
            ordinal = origin + (day.toordinal() - origin) // length * length
            while True:
                yield date.fromordinal(ordinal)
                ordinal += length
        months = count * (12 if self.duration.unit == "y" else 1)
        month = ((day.year - 1970) * 12 + day.month - 1) // months * months
        while True:
            yield date(1970 + month // 12, month % 12 + 1, 1)
            month += months

    def _midnight(self, day: date) -> int:
        # Where the clock jumps over midnight, the day begins with the jump: fold 0 gives just that (PEP 495).
        return to_us(datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC))
