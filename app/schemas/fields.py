"""Fields of what clients write as text: times, durations, functions, zones, flags, lists, places and boxes."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from flask_smorest import Api
from marshmallow import ValidationError, fields, missing

from app.history.functions import Function
from app.history.rollup import Duration
from app.location import Box, Place
from ingestor.times import parse_time

T = TypeVar("T")

_DEGREES = r"-?\d{1,3}(?:\.\d{1,15})?"
_NEAR = re.compile(rf"({_DEGREES}), *({_DEGREES})", re.ASCII)
_BOX = re.compile(",".join([rf"({_DEGREES})"] * 4), re.ASCII)


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


class PlaceField(fields.Field[Place]):
    """`lat,lng`."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Place:
        found = _NEAR.fullmatch(value.strip())
        if found is None:
            raise ValidationError(f"{value[:60]!r} is no place: send latitude,longitude such as 41.39,2.19")
        place = Place(*map(float, found.groups()))
        if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
            raise ValidationError("latitudes lie between -90 and 90, longitudes between -180 and 180")
        return place


class BoxField(fields.Field[Box]):
    """`west,south,east,north`."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Box:
        found = _BOX.fullmatch(value.replace(" ", ""))
        if found is None:
            raise ValidationError(f"{value[:80]!r} is no box: send west,south,east,north such as 2.0,41.3,2.3,41.5")
        box = Box(*map(float, found.groups()))
        if not (-90 <= box.south <= box.north <= 90 and -180 <= box.west <= 180 and -180 <= box.east <= 180):
            raise ValidationError("south lies below north, both between -90 and 90; west and east between -180 and 180")
        return box


def register_fields(api: Api) -> None:
    """Tell the OpenAPI document what these look like on the wire."""
    for field in (TimeField, DurationField, FunctionsField, ZoneField, ListField, PlaceField, BoxField):
        api.register_field(field, "string", None)
    api.register_field(FlagField, "boolean", None)
