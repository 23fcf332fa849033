"""Devices."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, time_field


class NewDevice(Request):
    name = fields.String(required=True, validate=validate.Length(min=1, max=200), metadata={"example": "Balcony"})
    description = fields.String(allow_none=True, load_default=None)
    kit_id = fields.Integer(
        allow_none=True,
        load_default=None,
        metadata={"description": "blueprint that gives the components", "example": 26},
    )
    exposure = fields.String(allow_none=True, load_default=None, validate=validate.OneOf(["indoor", "outdoor"]))
    latitude = fields.Float(allow_none=True, load_default=None, validate=validate.Range(-90, 90))
    longitude = fields.Float(allow_none=True, load_default=None, validate=validate.Range(-180, 180))
    elevation = fields.Float(allow_none=True, load_default=None, metadata={"description": "metres"})
    is_private = fields.Boolean(load_default=False)
    notify_low_battery = fields.Boolean(load_default=False)
    notify_stopped_publishing = fields.Boolean(load_default=False)
    device_token = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Regexp(r"^[A-Za-z0-9_-]{6,64}$", error="6 to 64 letters, digits, - or _"),
        metadata={"description": "a token that the device has already; by default a new one of 32 characters"},
    )


class Device(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(allow_none=True)
    state = fields.String(
        required=True, validate=validate.OneOf(["not_configured", "never_published", "has_published"])
    )
    system_tags = fields.List(fields.String(), required=True)
    user_tags = fields.List(fields.String(), required=True)
    last_reading_at = time_field(allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
    notify = fields.Dict(keys=fields.String(), values=fields.Boolean(), required=True)
    device_token = fields.String(
        required=True, metadata={"description": "shown once, in the answer that makes it; else `[FILTERED]`"}
    )
    postprocessing = fields.Raw(allow_none=True)
    location = fields.Dict(required=True)
    data_policy = fields.Dict(required=True)
    hardware = fields.Dict(required=True)
    owner = fields.Dict(required=True)
    data = fields.Dict(required=True)
    experiment_ids = fields.List(fields.Integer(), required=True)
