"""Measurements, sensors, components and tags."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.schemas.base import ID, Request, WholeNumber, time_field
from app.units import find_unit

NAME = validate.Length(min=1, max=200)
TEXT = validate.Length(max=10_000)
KEY = validate.Regexp(
    r"^(?![0-9]+$)(?!sensor_[0-9]+$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
    error="1 to 64 letters, digits, . _ or -, not digits only, and not sensor_ with a number",
)
_TAG_NAME = validate.Regexp(
    r"^(?![0-9]+\Z)[^\s,|/?#][^,|/?#]{0,99}(?<!\s)\Z",
    error="1 to 100 characters without , | / ? or #, not digits only, and no blank at its ends",
)


class UnitField(fields.String):
    """A unit of the controlled list, or its UCUM code."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return find_unit(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Unit(Schema):
    unit = fields.String(required=True, metadata={"description": "as sensors show it", "example": "ºC"})
    ucum = fields.String(required=True, metadata={"description": "its code in UCUM", "example": "Cel"})


class SensorMeasurement(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"example": "Air Temperature"})
    description = fields.String(required=True)
    unit = fields.String(required=True, allow_none=True)
    definition = fields.String(required=True, allow_none=True, metadata={"description": "address of its definition"})


class Measurement(SensorMeasurement):
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class MeasurementChanges(Request):
    name = fields.String(validate=NAME, metadata={"example": "Air Temperature"})
    description = fields.String(validate=TEXT)
    unit = UnitField(allow_none=True, metadata={"example": "ºC"})
    definition = fields.String(allow_none=True, validate=TEXT)


class NewMeasurement(MeasurementChanges):
    name = fields.String(required=True, validate=NAME, metadata={"example": "Air Temperature"})
    description = fields.String(required=True, validate=TEXT)


class Sensor(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    parent_id = fields.Integer(required=True, allow_none=True, metadata={"description": "the chip or board it sits on"})
    name = fields.String(required=True, metadata={"example": "Sensirion SHT31 - Temperature"})
    description = fields.String(required=True)
    default_key = fields.String(
        required=True, allow_none=True, metadata={"description": "key of its components", "example": "t"}
    )
    unit = fields.String(required=True, allow_none=True, metadata={"example": "ºC"})
    unit_definition = fields.String(required=True, allow_none=True)
    datasheet = fields.String(required=True, allow_none=True)
    minimum = fields.Float(required=True, allow_none=True, metadata={"description": "the least it can give, in `unit`"})
    maximum = fields.Float(required=True, allow_none=True, metadata={"description": "the most it can give"})
    stuck_after = fields.Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "seconds of one and the same value that mean it is stuck; null: it may stay",
            "example": 21600,
        },
    )
    equation = fields.String(
        required=True, allow_none=True, metadata={"description": "from raw to value; null: as received"}
    )
    tags = fields.List(fields.String(), required=True)
    measurement = fields.Nested(SensorMeasurement, required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class SensorFields(Request):
    """What one says of a sensor."""

    name = fields.String(validate=NAME, metadata={"example": "Bosch BME280 - Temperature"})
    description = fields.String(validate=TEXT)
    unit = UnitField(allow_none=True, metadata={"description": "one of GET /v0/units", "example": "ºC"})
    unit_definition = fields.String(
        allow_none=True, validate=TEXT, metadata={"description": "of a new sensor by default the unit's UCUM code"}
    )
    datasheet = fields.Url(allow_none=True, schemes={"http", "https"})
    minimum = fields.Float(allow_none=True, metadata={"description": "the least it can give", "example": -40})
    maximum = fields.Float(allow_none=True, metadata={"description": "the most it can give", "example": 125})
    stuck_after = fields.Float(
        allow_none=True,
        validate=validate.Range(3600, 366 * 86400),
        metadata={"description": "seconds of one and the same value that mean it is stuck", "example": 21600},
    )
    default_key = fields.String(
        allow_none=True, validate=KEY, metadata={"description": "of its components", "example": "bme280_t"}
    )
    parent_id = WholeNumber(allow_none=True, validate=ID, metadata={"description": "the chip or board it sits on"})
    measurement_id = WholeNumber(allow_none=True, validate=ID, metadata={"description": "what it measures"})


class SensorChanges(SensorFields):
    tags = fields.List(fields.String(), metadata={"description": "names of tag_sensors; replaces them all"})


class NewSensor(SensorChanges):
    name = fields.String(required=True, validate=NAME, metadata={"example": "Bosch BME280 - Temperature"})
    description = fields.String(required=True, validate=TEXT)


class Component(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    device_id = fields.Integer(required=True)
    sensor_id = fields.Integer(required=True)
    key = fields.String(required=True, metadata={"example": "t"})
    interval = fields.Float(
        required=True, allow_none=True, metadata={"description": "seconds from one reading to the next, as expected"}
    )
    last_reading_at = time_field(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class TagSensor(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True, metadata={"example": "raw"})
    description = fields.String(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class Tag(TagSensor):
    uuid = fields.UUID(required=True)


class TagChanges(Request):
    name = fields.String(validate=_TAG_NAME, metadata={"example": "Barcelona"})
    description = fields.String(allow_none=True, validate=TEXT)


class NewTag(TagChanges):
    name = fields.String(required=True, validate=_TAG_NAME, metadata={"example": "Barcelona"})
