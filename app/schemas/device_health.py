"""How a device is."""

from marshmallow import Schema, fields, validate

from app.schemas.base import time_field


class ComponentCoverage(Schema):
    sensor_id = fields.Integer(required=True)
    key = fields.String(required=True, metadata={"example": "t"})
    n = fields.Integer(required=True, metadata={"description": "readings that are there"})
    expected = fields.Integer(required=True, allow_none=True, metadata={"description": "null: nobody said how many"})
    ratio = fields.Float(required=True, allow_none=True, metadata={"example": 0.98})


class Coverage(Schema):
    since = time_field("a day ago", required=True)
    ratio = fields.Float(
        required=True, allow_none=True, metadata={"description": "of all components together", "example": 0.98}
    )
    components = fields.List(fields.Nested(ComponentCoverage), required=True)


class Battery(Schema):
    sensor_id = fields.Integer(required=True)
    key = fields.String(required=True, metadata={"example": "bat"})
    value = fields.Float(required=True, allow_none=True, metadata={"example": 87})
    unit = fields.String(required=True, allow_none=True, metadata={"example": "%"})
    time = time_field("of the reading: an old one says little", required=True)


class OpenError(Schema):
    component = fields.String(required=True, allow_none=True)
    code = fields.String(required=True, metadata={"example": "no_answer"})
    message = fields.String(required=True, allow_none=True)
    count = fields.Integer(required=True)
    last_time = time_field(required=True)


class OpenErrors(Schema):
    open = fields.Integer(required=True, metadata={"description": "how many codes of components are open"})
    latest = fields.List(fields.Nested(OpenError), required=True, metadata={"description": "at most 20"})


class QuarantineReason(Schema):
    reason = fields.String(required=True, metadata={"example": "unknown_sensor"})
    count = fields.Integer(required=True)
    last_received_at = time_field(required=True)


class QuarantineSummary(Schema):
    """What could not be stored of what came in the last day; GET /v0/quarantine lists it."""

    count = fields.Integer(required=True)
    reasons = fields.List(fields.Nested(QuarantineReason), required=True)


class ConfigState(Schema):
    state = fields.String(
        required=True,
        validate=validate.OneOf(["none", "waiting", "applied", "refused"]),
        metadata={"description": "none: the device was never told anything; refused: `error` says why"},
    )
    desired_version = fields.Integer(required=True, allow_none=True)
    reported_version = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)


class Clock(Schema):
    skew_seconds = fields.Float(
        required=True,
        metadata={"description": "how far the device's clock was ahead when its newest reading came", "example": -1.2},
    )
    time = time_field("when that was", required=True)


class DeviceHealth(Schema):
    device_id = fields.Integer(required=True)
    last_seen_at = time_field("when anything came from it", required=True, allow_none=True)
    last_reading_at = time_field("by its clock", required=True, allow_none=True)
    expected_interval = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "seconds from one message to the next; null: nobody said", "example": 60},
    )
    coverage = fields.Nested(Coverage, required=True)
    battery = fields.Nested(Battery, required=True, allow_none=True)
    errors = fields.Nested(OpenErrors, required=True)
    quarantine = fields.Nested(QuarantineSummary, required=True)
    config = fields.Nested(ConfigState, required=True)
    clock = fields.Nested(
        Clock,
        required=True,
        allow_none=True,
        metadata={"description": "null: nothing has come yet, or what came last was stored for more than a day"},
    )
