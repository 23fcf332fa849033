"""Devices of version 1."""

from marshmallow import Schema, fields, validate

from app.schemas.accounts import ROLES
from app.schemas.base import time_field
from app.schemas.catalogue import SensorMeasurement
from app.schemas.devices import (
    STATES,
    DataPolicy,
    Location,
    Notify,
    OwnerPlace,
    Postprocessing,
    PublicHardware,
)

_UNAUTHORIZED = {"description": "fields that are there and that the asking user may not see"}


class SeenHardware(PublicHardware):
    last_status_message = fields.Raw(allow_none=True, metadata={"type": ["object", "null"]})
    unauthorized_fields = fields.List(fields.String(), metadata=_UNAUTHORIZED)


class SeenOwner(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    username = fields.String(required=True)
    profile_picture = fields.String(required=True)
    url = fields.String(required=True, allow_none=True)
    location = fields.Nested(OwnerPlace, required=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
    email = fields.String()
    unauthorized_fields = fields.List(fields.String(), required=True, metadata=_UNAUTHORIZED)


class ComponentSensor(Schema):
    id = fields.Integer(required=True)
    parent_id = fields.Integer(required=True, allow_none=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    unit = fields.String(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
    uuid = fields.UUID(required=True)
    datasheet = fields.String(required=True, allow_none=True)
    unit_definition = fields.String(required=True, allow_none=True)
    measurement = fields.Nested(SensorMeasurement, required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)


class LatestComponent(Schema):
    sensor = fields.Nested(ComponentSensor, required=True)
    last_reading_at = time_field(required=True, allow_none=True)
    latest_value = fields.Float(required=True, allow_none=True)
    previous_value = fields.Float(required=True, allow_none=True)


class SeenDevice(Schema):
    """A device of version 1: a field without a value is left out."""

    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String()
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    system_tags = fields.List(fields.String(), required=True)
    user_tags = fields.List(fields.String(), required=True)
    last_reading_at = time_field()
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
    notify = fields.Nested(Notify, required=True)
    mac_address = fields.String()
    postprocessing = fields.Nested(Postprocessing)
    location = fields.Nested(Location, required=True)
    data_policy = fields.Nested(DataPolicy)
    hardware = fields.Nested(SeenHardware, required=True)
    owner = fields.Nested(SeenOwner)
    components = fields.List(fields.Nested(LatestComponent), required=True)
    unauthorized_fields = fields.List(fields.String(), required=True, metadata=_UNAUTHORIZED)
