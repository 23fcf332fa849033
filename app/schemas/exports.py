"""Exports."""

from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.exports.question import FORMATS, LAYOUTS, VALUES
from app.history.functions import FUNCTIONS
from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.fields import DurationField, FunctionsField, TimeField, ZoneField

MOST_DEVICES = 1000


class SensorField(fields.Field[int | str]):
    """A sensor's id, or a component's key."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | str:
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise ValidationError("is neither a sensor id nor a component key")
        return value


class FileChoices(Request):
    """What a file is to hold of its devices, and how."""

    sensors = fields.List(
        SensorField(),
        load_default=list,
        metadata={"description": "sensor ids and component keys; default: all", "example": [55, "h"]},
    )
    rollup = DurationField(
        load_default=None,
        allow_none=True,
        metadata={"description": "length of a bucket, as for readings; default: readings as they are", "example": "1h"},
    )
    function = FunctionsField(
        load_default=lambda: [FUNCTIONS["avg"]],
        metadata={
            "description": "of a rollup: avg max min sum count dev first last median p0…p99.9; several by commas",
            "example": "avg",
        },
    )
    tz = ZoneField(
        load_default=lambda: ZoneInfo("UTC"),
        metadata={"description": "in which times are written and days begin", "example": "Europe/Madrid"},
    )
    layout = fields.String(
        load_default="wide",
        validate=validate.OneOf(LAYOUTS),
        metadata={"description": "wide: a row a time, a column a component; long: a row a reading"},
    )
    format = fields.String(load_default="csv", validate=validate.OneOf(FORMATS))
    values = fields.String(
        load_default="value",
        validate=validate.OneOf(VALUES),
        metadata={"description": "processed by calibration, raw as received, or both"},
    )

    @validates_schema
    def _check_rollup(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data.get("rollup") and not data["rollup"].count:
            raise ValidationError("must not be 0; leave it out to get readings as they are", "rollup")
        if data.get("format") == "parquet" and find_spec("pyarrow") is None:
            raise ValidationError("cannot be parquet here: this server runs without its extra of that name", "format")


class NewExport(FileChoices):
    """What to take away."""

    device_ids = fields.List(
        WholeNumber(validate=ID),
        load_default=None,
        validate=validate.Length(1, MOST_DEVICES),
        metadata={"description": f"at most {MOST_DEVICES:,} devices", "example": [1]},
    )
    experiment_id = WholeNumber(
        load_default=None,
        validate=ID,
        metadata={"description": "or the devices of an experiment, from its beginning to its end"},
    )
    q = fields.Dict(
        keys=fields.String(),
        load_default=None,
        metadata={"description": "or devices by the filters of `GET /v0/devices`", "example": {"tags_name_eq": "air"}},
    )
    start = TimeField(
        data_key="from",
        load_default=None,
        allow_none=True,
        metadata={"description": "inclusive; default: the first reading", "example": "2026-01-01"},
    )
    end = TimeField(
        data_key="to",
        load_default=None,
        allow_none=True,
        metadata={"description": "inclusive; default: the last reading", "example": "2026-01-31T23:59:59Z"},
    )

    @validates_schema
    def _check(self, data: dict[str, Any], **kwargs: Any) -> None:
        if sum(data.get(name) is not None for name in ("device_ids", "experiment_id", "q")) != 1:
            raise ValidationError("send just one of device_ids, experiment_id and q", "device_ids")
        if data.get("start") and data.get("end") and data["start"] > data["end"]:
            raise ValidationError("is after `to`", "from")


class Export(Schema):
    """An export and what has become of it."""

    id = fields.Integer(required=True)
    state = fields.String(
        required=True, validate=validate.OneOf(["queued", "running", "finished", "failed", "cancelled"])
    )
    percent = fields.Integer(required=True)
    device_ids = fields.List(fields.Integer(), required=True)
    query = fields.Dict(required=True, metadata={"description": "what was asked, with its defaults"})
    rows = fields.Integer(required=True, allow_none=True)
    bytes = fields.Integer(required=True, allow_none=True)
    sha256 = fields.String(required=True, allow_none=True)
    filename = fields.String(required=True, allow_none=True)
    download_url = fields.Url(
        required=True,
        allow_none=True,
        metadata={"description": "the file, for whoever has this link, for 24 hours; each answer makes a new one"},
    )
    metadata_url = fields.Url(
        required=True, allow_none=True, metadata={"description": "the same for its metadata.json"}
    )
    error = fields.String(
        required=True, allow_none=True, metadata={"description": "why it failed, waits, or was not mailed"}
    )
    mailed_at = time_field(required=True, allow_none=True)
    created_at = time_field(required=True)
    finished_at = time_field(required=True, allow_none=True)
    expires_at = time_field("when the file is deleted", required=True, allow_none=True)


class CsvArchive(Schema):
    """What the platform whose wire this is answers, and where to look."""

    id = fields.String(required=True, metadata={"example": "ok"})
    message = fields.String(required=True)
    url = fields.Url(required=True, metadata={"description": "the export"})
    errors = fields.String(required=True)
