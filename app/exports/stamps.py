"""Write times as ISO 8601 with the offset of a zone, a whole slice at once. Pure."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sql.arrays import Times

_SECOND_US, _DAY_S = 1_000_000, 86_400
_Text = np.ndarray[Any, np.dtype[np.uint8]]


def _clock() -> _Text:
    """Return `T00:00:00` to `T23:59:59` as rows of characters."""
    seconds = np.arange(_DAY_S).astype("datetime64[s]")
    return _characters(np.datetime_as_string(seconds).astype("S19"))[:, 10:]


def _characters(texts: np.ndarray[Any, np.dtype[np.bytes_]]) -> _Text:
    return texts.view(np.uint8).reshape(len(texts), -1)


_CLOCK = _clock()


def stamps(times: Times, zone: ZoneInfo, *, before: bytes = b"", after: bytes = b"") -> list[bytes]:
    """Return each time as `2026-01-15T09:30:00+01:00` between two texts; its fraction only where it has one."""
    offsets_s = _offsets_s(times, zone)
    seconds, fractions = np.divmod(times + offsets_s * _SECOND_US, _SECOND_US)
    days, seconds_of_day = np.divmod(seconds, _DAY_S)
    day, day_of = np.unique(days, return_inverse=True)
    dates = _characters(np.datetime_as_string(day.astype("datetime64[D]")).astype("S10"))
    offset, offset_of = np.unique(offsets_s, return_inverse=True)
    signs = _characters(np.array([_offset(int(value)) for value in offset], dtype="S"))
    rows = len(times)
    pieces = [_constant(before, rows), dates[day_of], _CLOCK[seconds_of_day], signs[offset_of], _constant(after, rows)]
    text = np.hstack(pieces)
    whole: list[bytes] = np.ascontiguousarray(text).view(f"S{text.shape[1]}").ravel().tolist()
    cut = len(before) + 19
    for row in np.flatnonzero(fractions).tolist():
        whole[row] = whole[row][:cut] + b".%06d" % fractions[row] + whole[row][cut:]
    return whole


def _offsets_s(times: Times, zone: ZoneInfo) -> Times:
    """Return what the zone's clock is ahead of UTC at each time, in seconds."""
    index = pd.DatetimeIndex(times.astype("datetime64[us]"), tz="UTC")
    local = index.tz_convert(zone).tz_localize(None)
    ahead: Times = (local.to_numpy().astype("datetime64[us]").astype(np.int64) - times) // _SECOND_US
    return ahead


def _offset(seconds: int) -> bytes:
    sign, minutes = ("-" if seconds < 0 else "+"), abs(seconds) // 60
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}".encode()


def _constant(text: bytes, rows: int) -> _Text:
    return np.broadcast_to(np.frombuffer(text, np.uint8), (rows, len(text)))
