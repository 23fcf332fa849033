"""Read times as devices and clients really write them; without a zone they are UTC."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECONDS_FROM = 1e11  # seconds would be the year 5138, milliseconds are 1973

# What datetime.fromisoformat refuses: unpadded parts (kits 1.x: `2014-03-05 7:08:09`), a zone whose plus sign was
# lost in a form (`2001-01-01 00:00:00 00:00`, which smartcitizen-connector sends), a trailing `UTC`.
_LOOSE = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d{1,9}))?)?)?"
    r"(?P<zone> ?(?:Z|UTC|(?P<sign>[-+ ]?)(?P<zone_hour>\d{2}):?(?P<zone_minute>\d{2})))?",
    re.ASCII | re.IGNORECASE,
)


_YEAR_OR_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?", re.ASCII)
_DIGITS_OF_A_DATE = (4, 8)  # 2026 and 20260115 are ISO 8601; as Unix seconds they would be in the seventies


def to_us(time: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC: what a time is in a column."""
    return (time - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


def parse_time(text: str | float, zone: tzinfo = UTC) -> datetime:
    """Return an aware UTC time for ISO 8601, its loose relatives, a bare date (midnight), or Unix (milli)seconds.

    A month or a year alone is its first moment. What says no zone of its own is taken to be in `zone`.
    Raises ValueError with a message that shows the text and what is understood.
    """
    try:
        if isinstance(text, str) and not _is_number(text):
            time = _parse_calendar(text.strip())
            return (time.replace(tzinfo=zone) if time.tzinfo is None else time).astimezone(UTC)
        seconds = float(text)
        if abs(seconds) >= _MILLISECONDS_FROM:
            seconds /= 1000
        return _EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        shown = str(text)[:40]
        raise ValueError(f"{shown!r} is not a time: send 2026-01-15T08:30:00Z or Unix seconds") from None


def _is_number(text: str) -> bool:
    if len(text) in _DIGITS_OF_A_DATE and text.isdecimal():
        return False
    return text.replace(".", "", 1).removeprefix("-").isdecimal() and text.isascii()


def _parse_calendar(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        if short := _YEAR_OR_MONTH.fullmatch(text):
            return datetime(int(short[1]), int(short[2] or 1), 1)  # noqa: DTZ001 - its zone is the caller's
        match = _LOOSE.fullmatch(text)
        if match is None:
            raise
    year, month, day, hour, minute, second = (
        int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    microsecond = int((match["fraction"] or "0").ljust(6, "0")[:6])
    zone_hour, zone_minute = int(match["zone_hour"] or 0), int(match["zone_minute"] or 0)
    if zone_hour > 23 or zone_minute > 59:
        raise ValueError("no zone is a day or more from UTC")
    offset = timedelta(hours=zone_hour, minutes=zone_minute)
    time = datetime(year, month, day, hour, minute, second, microsecond)  # noqa: DTZ001 - the zone comes below
    if match["zone"] is None:
        return time
    return (time + offset if match["sign"] == "-" else time - offset).replace(tzinfo=UTC)
