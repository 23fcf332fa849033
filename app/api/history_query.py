"""What a client may ask of history: the query parameters, read leniently and checked strictly."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from flask_smorest import Api
from marshmallow import ValidationError, fields, missing, validate, validates_schema

from app.history.fill import Fill
from app.history.functions import FUNCTIONS, Function
from app.history.rollup import MICROSECOND, Duration, Rollup
from app.schemas.base import LARGEST_ID, Request, WholeNumber
from ingestor.times import parse_time, to_us

T = TypeVar("T")

LONGEST_QUANTILE_RANGE = timedelta(days=92)  # quantiles need every reading: a kit's 132,000 a component
_LATEST_US = to_us(datetime(2200, 1, 1, tzinfo=UTC))


class WrittenField(fields.Field[T]):
    """What is written as text, in a query string or in JSON."""

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if not isinstance(value, str) and value is not None and value is not missing:
            raise ValidationError("Not a valid string.")
        return super().deserialize(value, attr, data, **kwargs)


class TimeField(WrittenField[datetime]):
    """A time in any of the forms that clients send, without a zone in that of `tz`; see ingestor.times."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        name = data.get("tz")
        try:
            return parse_time(value, ZoneInfo(name) if isinstance(name, str) and name in _zones() else UTC)
        except ValueError as error:
            raise ValidationError(str(error)) from None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # looks into a thousand files


class DurationField(WrittenField[Duration]):
    """`<int><unit>`; see app.history.rollup."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Duration:
        try:
            return Duration.parse(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class FunctionsField(WrittenField[list[Function]]):
    """One or more functions, separated by commas."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> list[Function]:
        try:
            return [Function.parse(name) for name in dict.fromkeys(value.split(","))]
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ZoneField(WrittenField[ZoneInfo]):
    """A time zone by its name in the IANA database."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> ZoneInfo:
        if value not in _zones():
            raise ValidationError(f"{value[:40]!r} is no time zone: send a name such as Europe/Madrid")
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, OSError):
            raise ValidationError(f"{value[:40]!r} is no time zone that this server knows") from None


class FlagField(WrittenField[bool]):
    """Set by `true`, `1`, or an empty value."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> bool:
        return value.lower() not in ("false", "0", "no", "off")


class ListField(WrittenField[list[str]]):
    """Values separated by commas."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> list[str]:
        return list(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


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


def register_fields(api: Api) -> None:
    """Tell the OpenAPI document what our fields look like on the wire."""
    for field in (TimeField, DurationField, FunctionsField, ZoneField, ListField):
        api.register_field(field, "string", None)
    api.register_field(FlagField, "boolean", None)
