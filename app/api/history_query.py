"""What a client may ask of history: the query parameters, read leniently and checked strictly."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from marshmallow import ValidationError, fields, validate, validates_schema

from app.history.fill import Fill
from app.history.functions import FUNCTIONS, Function
from app.history.rollup import MICROSECOND, Duration, Rollup
from app.schemas.base import LARGEST_ID, Request, WholeNumber
from app.schemas.fields import DurationField, FlagField, FunctionsField, ListField, TimeField, ZoneField
from ingestor.times import to_us

LONGEST_QUANTILE_RANGE = timedelta(days=92)  # quantiles need every reading: a kit's 132,000 a component
_LATEST_US = to_us(datetime(2200, 1, 1, tzinfo=UTC))


class HistoryQuery(Request):
    """Parameters of GET /devices/{device_id}/readings."""

    sensor_id = ListField(metadata={"description": "one or more sensor ids, separated by commas", "example": "55"})
    sensor_key = ListField(metadata={"description": "or one or more component keys", "example": "t"})
    rollup = DurationField(
        required=True,
        metadata={
            "description": "length of a bucket: a number and ms s m h d w M or y; 0s: readings as they are",
            "example": "1h",
        },
    )
    function = FunctionsField(
        load_default=lambda: [FUNCTIONS["avg"]],
        metadata={
            "description": "avg max min sum count dev first last median p0…p99.9; several separated by commas",
            "example": "avg",
        },
    )
    start = TimeField(
        data_key="from", load_default=None, metadata={"description": "inclusive", "example": "2026-01-01"}
    )
    end = TimeField(
        data_key="to", load_default=None, metadata={"description": "inclusive; default: now", "example": "2026-01-31"}
    )
    relative = DurationField(
        load_default=lambda: Duration(6, "w"),
        metadata={"description": "how far back from `to` where `from` is not given; default 6w", "example": "6h"},
    )
    tz = ZoneField(
        load_default=lambda: ZoneInfo("UTC"),
        metadata={"description": "whose days, weeks, months and years", "example": "Europe/Madrid"},
    )
    localtimes = FlagField(load_default=False, metadata={"description": "write times with the offset of `tz`"})
    raw = FlagField(load_default=False, metadata={"description": "values as received, not processed"})
    limit = WholeNumber(
        load_default=None,
        validate=validate.Range(1),
        metadata={"description": "the newest so many buckets", "example": 100},
    )
    all_intervals = FlagField(
        load_default=False, metadata={"description": "empty buckets too, from a rollup of 10m up"}
    )
    fill = fields.Enum(Fill, by_value=True, load_default=None, metadata={"description": "empty buckets too, filled so"})
    max_gap = DurationField(load_default=None, metadata={"description": "the longest gap to fill", "example": "3h"})
    coverage = FlagField(
        load_default=False, metadata={"description": "add the readings in each bucket and how many were expected"}
    )

    @validates_schema
    def _check(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data.get("sensor_id") and not data.get("sensor_key"):
            raise ValidationError("is missing: send sensor_id or sensor_key", "sensor_id")
        for sensor_id in data.get("sensor_id", []):
            if not (re.fullmatch(r"\d{1,10}", sensor_id, re.ASCII) and int(sensor_id) <= LARGEST_ID):
                raise ValidationError(f"{sensor_id[:40]!r} is no sensor id: send a number, as in 55", "sensor_id")
        start, end = data.get("start"), data.get("end")
        if start is not None and end is not None and start > end:
            raise ValidationError(f"{start:%Y-%m-%dT%H:%M:%SZ} is after `to`, {end:%Y-%m-%dT%H:%M:%SZ}", "from")


def _within_time(us: int) -> int:
    """Bring a client's idea of the first and the last of times to where calendars work and readings can be."""
    return min(max(us, 0), _LATEST_US)


class Question(NamedTuple):
    """What was asked, its range resolved to start <= time < end in microseconds since 1970 UTC."""

    device_id: int
    rollup: Rollup | None  # None: readings as they are
    functions: list[Function]
    start_us: int
    end_us: int
    zone: ZoneInfo
    localtimes: bool
    as_received: bool
    limit: int | None
    all_intervals: bool
    fill: Fill | None
    max_gap: Duration | None
    coverage: bool

    @classmethod
    def of(cls, device_id: int, query: dict[str, Any], now: datetime) -> "Question":
        """Resolve a loaded HistoryQuery at a time."""
        rollup = Rollup(query["rollup"], query["tz"]) if query["rollup"].count else None
        end_us = _within_time(to_us(query["end"] or now.replace(microsecond=0)))
        if query["start"] is not None:
            start_us = _within_time(to_us(query["start"]))
        else:
            start_us = _within_time(end_us - query["relative"].length // MICROSECOND)
            if rollup is not None:
                start_us = int(rollup.edges(start_us, start_us)[0])  # whole buckets, where nobody said otherwise
        return cls(
            device_id,
            rollup,
            query["function"] if rollup else [FUNCTIONS["last"]],
            start_us,
            # `to` is inclusive: clients cut it to last_reading_at, and want that reading
            max(start_us, end_us + 1),
            query["tz"],
            query["localtimes"],
            query["raw"],
            query["limit"],
            query["all_intervals"],
            query["fill"],
            query["max_gap"],
            query["coverage"],
        )
