"""Calibrations, their preview, and the redo of history."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.catalogue import TEXT
from ingestor.equation import LONGEST

REDO_STATES = ["queued", "running", "done", "cancelled", "failed"]
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # no reading is older
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_EQUATION = {
    "description": "value = f(raw, other components of the same reading by key); null: what the next wider scope says",
    "example": "raw - 0.3 * (t - 25)",
}


def _given_time(description: str, **kwargs: Any) -> fields.AwareDateTime:
    return fields.AwareDateTime(
        format="iso",
        default_timezone=UTC,
        validate=validate.Range(EARLIEST, _LATEST),
        metadata={"description": description, "example": "2026-01-15T00:00:00Z"},
        **kwargs,
    )


class NewSensorCalibration(Request):
    equation = fields.String(required=True, allow_none=True, metadata=_EQUATION)
    valid_from = _given_time(
        "the version holds for readings from here on; by default from now on", allow_none=True, load_default=None
    )
    note = fields.String(
        load_default="", validate=TEXT, metadata={"description": "why", "example": "co-located for two weeks"}
    )


class NewCalibration(NewSensorCalibration):
    sensor_id = WholeNumber(required=True, validate=ID, metadata={"example": 56})


class Calibration(Schema):
    """One version of an equation: it is never changed, and stays when another supersedes it."""

    id = fields.Integer(required=True)
    scope = fields.String(required=True, validate=validate.OneOf(["device", "kit", "sensor"]))
    sensor_id = fields.Integer(required=True)
    kit_id = fields.Integer(required=True, allow_none=True)
    device_id = fields.Integer(required=True, allow_none=True)
    equation = fields.String(required=True, allow_none=True, metadata=_EQUATION)
    valid_from = time_field(required=True)
    valid_until = time_field("null: until another follows", required=True, allow_none=True)
    superseded = fields.Boolean(required=True, metadata={"description": "another of the same valid_from holds instead"})
    note = fields.String(required=True)
    author = fields.String(required=True, allow_none=True, metadata={"description": "username"})
    created_at = time_field(required=True)


class AddedCalibration(Calibration):
    recalibrations = fields.Integer(
        required=True, metadata={"description": "redos that it began, one a component; see GET /v0/recalibrations"}
    )


class NewPreview(Request):
    sensor_id = WholeNumber(required=True, validate=ID, metadata={"example": 56})
    equation = fields.String(
        required=True, metadata={"maxLength": LONGEST, "minLength": 1, "example": "raw - 0.3 * (t - 25)"}
    )
    start = _given_time("by default a week before `to`", data_key="from", allow_none=True, load_default=None)
    end = _given_time("exclusive; by default after the last reading", data_key="to", allow_none=True, load_default=None)
    reference_device_id = WholeNumber(
        allow_none=True, load_default=None, validate=ID, metadata={"description": "a device beside it"}
    )
    reference_sensor_id = WholeNumber(
        allow_none=True,
        load_default=None,
        validate=ID,
        metadata={"description": "its component to compare with; by default the same sensor"},
    )


class Difference(Schema):
    n = fields.Integer(required=True, metadata={"description": "pairs compared"})
    bias = fields.Float(required=True, allow_none=True, metadata={"description": "mean difference"})
    rmse = fields.Float(required=True, allow_none=True, metadata={"description": "root of the mean squared difference"})


class ReferencePreview(Schema):
    device_id = fields.Integer(required=True)
    sensor_id = fields.Integer(required=True)
    old = fields.Nested(Difference, required=True, metadata={"description": "old less reference, by hourly means"})
    new = fields.Nested(Difference, required=True, metadata={"description": "new less reference, by hourly means"})
    columns = fields.List(fields.String(), required=True)
    hours = fields.List(fields.List(fields.Raw(allow_none=True)), required=True)


class Preview(Schema):
    device_id = fields.Integer(required=True)
    sensor_id = fields.Integer(required=True)
    equation = fields.String(required=True)
    start = time_field(data_key="from", required=True)
    end = time_field(data_key="to", required=True)
    change = fields.Nested(Difference, required=True, metadata={"description": "new less old"})
    columns = fields.List(fields.String(), required=True, metadata={"example": ["time", "raw", "old", "new"]})
    readings = fields.List(
        fields.List(fields.Raw(allow_none=True)), required=True, metadata={"description": "newest first"}
    )
    reference = fields.Nested(ReferencePreview, required=True, allow_none=True)


class NewRecalibration(Request):
    device_id = WholeNumber(required=True, validate=ID, metadata={"example": 1})
    sensor_id = WholeNumber(required=True, validate=ID, metadata={"example": 56})
    start = _given_time("by default the first reading", data_key="from", allow_none=True, load_default=None)
    end = _given_time("exclusive; by default after the last reading", data_key="to", allow_none=True, load_default=None)


class Recalibration(Schema):
    """The redo of one component's values from its raws."""

    id = fields.Integer(required=True)
    device_id = fields.Integer(required=True)
    sensor_id = fields.Integer(required=True)
    calibration_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "whose arrival began it; null: somebody asked"}
    )
    start = time_field(data_key="from", required=True)
    end = time_field("exclusive", data_key="to", required=True)
    state = fields.String(required=True, validate=validate.OneOf(REDO_STATES))
    progress = fields.Float(required=True, metadata={"description": "from 0 to 1, by time"})
    computed = fields.Integer(required=True, metadata={"description": "datapoints so far"})
    changed = fields.Integer(required=True, metadata={"description": "and those that got another value or version"})
    error = fields.String(required=True, allow_none=True)
    created_at = time_field(required=True)
    started_at = time_field(required=True, allow_none=True)
    finished_at = time_field(required=True, allow_none=True)
