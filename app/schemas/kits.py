"""Kits: blueprints of devices."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.device_configs import schema_error
from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.catalogue import KEY, NAME, TEXT, MeasurementChanges, Sensor, SensorFields, UnitField
from app.schemas.device_configs import SettingsField, interval_field
from ingestor.equation import LONGEST

_SLUG = validate.Regexp(
    r"^(?![0-9]+\Z)[a-z0-9][a-z0-9:,._-]{0,99}\Z",
    error="1 to 100 small letters, digits, : , . _ or -, and not digits only",
)
_MOST_COMPONENTS = 200
_COMPONENTS = validate.Length(min=1, max=_MOST_COMPONENTS)
_WAYS_TO_NAME = ("sensor_id", "sensor_uuid", "sensor_key", "sensor")


class ProposedMeasurement(MeasurementChanges):
    name = fields.String(required=True, validate=NAME, metadata={"example": "Air Temperature"})


class ProposedSensor(SensorFields):
    """A sensor that is not in the catalogue yet; its default_key is nobody else's."""

    name = fields.String(required=True, validate=NAME, metadata={"example": "Bosch BME280 - Temperature"})
    unit = UnitField(required=True, metadata={"description": "one of GET /v0/units", "example": "ºC"})
    measurement = fields.Nested(
        ProposedMeasurement,
        metadata={"description": "a measurement by its name, in the place of measurement_id; a new one is made"},
    )


class KitComponentRequest(Request):
    sensor_id = WholeNumber(validate=ID, metadata={"description": "the sensor's id", "example": 55})
    sensor_uuid = fields.UUID(metadata={"description": "or its uuid"})
    sensor_key = fields.String(
        validate=validate.Length(1, 100), metadata={"description": "or its default key, if only one sensor has that"}
    )
    sensor = fields.Nested(ProposedSensor, metadata={"description": "or a new sensor"})
    key = fields.String(
        allow_none=True,
        load_default=None,
        validate=KEY,
        metadata={
            "description": "by default the sensor's default key, with `_2` for a second one; stable from then on",
            "example": "t",
        },
    )
    interval = interval_field("expected time from one reading to the next, in seconds", load_default=None)
    enabled = fields.Boolean(
        load_default=True, metadata={"description": "whether it reads, unless a device is told otherwise"}
    )
    equation = fields.String(
        allow_none=True,
        validate=validate.Length(1, LONGEST),
        metadata={
            "description": "from raw to value on every device of the kit, if not as the sensor's; null: as that. "
            "Of a new kit it holds for all readings, in a change for those from now on",
            "example": "raw * 1.02 - 0.3",
        },
    )

    @validates_schema
    def _one_sensor(self, data: dict[str, Any], **kwargs: Any) -> None:
        if sum(way in data for way in _WAYS_TO_NAME) != 1:
            raise ValidationError("send one of sensor_id, sensor_uuid, sensor_key and sensor", "sensor_id")


class KitConfigFields(Request):
    """What devices of the kit are told where nobody tells them otherwise."""

    publish_interval = interval_field("seconds from one message to the next; null: nobody said")
    settings = SettingsField(
        keys=fields.String(), metadata={"description": "whatever settings_schema allows", "example": {"led": "on"}}
    )
    settings_schema = SettingsField(
        allow_none=True,
        keys=fields.String(),
        metadata={
            "description": "a JSON Schema of the settings that devices of the kit take; null: any",
            "example": {"type": "object", "properties": {"led": {"enum": ["on", "off"]}}},
        },
    )

    @validates_schema
    def _check_schema(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data.get("settings_schema") is not None and (reason := schema_error(data["settings_schema"])):
            raise ValidationError(reason, "settings_schema")


class NewKit(KitConfigFields):
    """A blueprint; the smallest is `{"name": …, "components": [{"sensor_id": …}]}`."""

    name = fields.String(required=True, validate=NAME, metadata={"example": "Greenhouse kit"})
    slug = fields.String(
        validate=_SLUG, metadata={"description": "unique; by default made of the name", "example": "greenhouse:1,0"}
    )
    description = fields.String(load_default="", validate=TEXT)
    components = fields.List(fields.Nested(KitComponentRequest), required=True, validate=_COMPONENTS)


class KitChanges(KitConfigFields):
    """What is sent is changed; `components` replaces them all. Devices that exist keep the components they have."""

    name = fields.String(validate=NAME, metadata={"example": "Greenhouse kit"})
    slug = fields.String(validate=_SLUG, metadata={"example": "greenhouse:1,0"})
    description = fields.String(validate=TEXT)
    components = fields.List(fields.Nested(KitComponentRequest), validate=_COMPONENTS)


class KitComponent(Schema):
    sensor_id = fields.Integer(required=True)
    key = fields.String(required=True)
    interval = fields.Float(required=True, allow_none=True, metadata={"description": "seconds"})
    enabled = fields.Boolean(required=True)
    equation = fields.String(
        required=True, allow_none=True, metadata={"description": "in the place of the sensor's, if it differs"}
    )
    sensor = fields.Nested(Sensor, required=True)


class Kit(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    slug = fields.String(required=True, metadata={"example": "sck:2,1"})
    name = fields.String(required=True)
    description = fields.String(required=True)
    owner_id = fields.Integer(required=True, allow_none=True, metadata={"description": "null: came with Almanac"})
    publish_interval = fields.Float(required=True, allow_none=True, metadata={"description": "seconds"})
    settings = fields.Dict(keys=fields.String(), required=True)
    settings_schema = fields.Dict(keys=fields.String(), required=True, allow_none=True)
    components = fields.List(fields.Nested(KitComponent), required=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
