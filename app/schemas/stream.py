"""What a listener asks for."""

import re
from typing import Any

from marshmallow import ValidationError, fields, post_load

from app.live.filters import Filter
from app.schemas.base import LARGEST_ID, Request
from app.schemas.fields import BoxField, ListField

_MOST_IDS = 500


def _are_ids(values: list[str]) -> None:
    if len(values) > _MOST_IDS:
        raise ValidationError(f"{len(values)} numbers; at most {_MOST_IDS} are taken")
    for value in values:
        if not (re.fullmatch(r"\d{1,10}", value, re.ASCII) and 0 < int(value) <= LARGEST_ID):
            raise ValidationError(f"{value[:40]!r} is no id: send a number, or several with commas")


def _ids_field(what: str, example: str) -> fields.Field[list[str]]:
    about = {"description": f"readings of these {what} alone, by id, separated by commas", "example": example}
    return ListField(load_default=list, validate=_are_ids, metadata=about)


class StreamQuery(Request):
    """Parameters of GET /stream."""

    device_id = _ids_field("devices", "7,12")
    sensor_id = _ids_field("sensors", "55")
    measurement_id = _ids_field("measurements", "1")
    bbox = BoxField(
        load_default=None,
        metadata={
            "description": "`west,south,east,north`: readings of devices in that box",
            "example": "2.0,41.3,2.3,41.5",
        },
    )

    @post_load
    def _as_filter(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Filter]:
        devices, sensors, measurements = (
            frozenset(map(int, data[name])) for name in ("device_id", "sensor_id", "measurement_id")
        )
        return {"wanted": Filter(devices, sensors, measurements, data["bbox"])}
