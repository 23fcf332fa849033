"""Readings and their history."""

from marshmallow import Schema, fields

from app.errors import ErrorSchema
from app.schemas.base import time_field
from app.schemas.catalogue import Measurement


class Series(Schema):
    """One component's history."""

    sensor_id = fields.Integer(allow_none=True)
    sensor_key = fields.String(allow_none=True)
    component_id = fields.Integer(allow_none=True)
    readings = fields.List(fields.List(fields.Raw(allow_none=True)))
    sample_size = fields.Integer()


class History(Schema):
    device_id = fields.Integer(required=True)
    sensor_id = fields.Integer(allow_none=True)
    sensor_key = fields.String(allow_none=True)
    component_id = fields.Integer(allow_none=True, metadata={"description": "null: the device has no such component"})
    rollup = fields.String(required=True)
    function = fields.String(required=True)
    start = time_field(data_key="from", required=True)
    end = time_field(data_key="to", required=True)
    complete_as_of = time_field("every write confirmed before this moment is in the answer", required=True)
    columns = fields.List(fields.String(), required=True, metadata={"description": "what a row of `readings` holds"})
    sample_size = fields.Integer(metadata={"description": "readings in the answer's buckets"})
    readings = fields.List(
        fields.List(fields.Raw(allow_none=True)), metadata={"description": "newest first; a bucket's time is its start"}
    )
    series = fields.List(
        fields.Nested(Series), metadata={"description": "instead of readings where several components are asked for"}
    )


class ComponentSummary(Schema):
    """What there is of a component's readings."""

    component_id = fields.Integer(required=True)
    sensor_id = fields.Integer(required=True)
    sensor_key = fields.String(required=True)
    sensor_name = fields.String(required=True)
    count = fields.Integer(required=True, metadata={"description": "readings that have a value"})
    first_reading_at = time_field(required=True, allow_none=True)
    last_reading_at = time_field(required=True, allow_none=True)


class Summary(Schema):
    """What there is of a device's readings."""

    device_id = fields.Integer(required=True)
    count = fields.Integer(required=True, metadata={"description": "of all components"})
    first_reading_at = time_field(required=True, allow_none=True)
    last_reading_at = time_field(required=True, allow_none=True)
    complete_as_of = time_field("every write confirmed before this moment is counted", required=True)
    components = fields.List(fields.Nested(ComponentSummary), required=True)


class PublicPlace(Schema):
    """Where a device is, as exactly as everybody may know."""

    latitude = fields.Float(required=True)
    longitude = fields.Float(required=True)


class LatestValue(Schema):
    """The newest reading of a component."""

    component_id = fields.Integer(required=True)
    device_id = fields.Integer(required=True)
    device_name = fields.String(required=True)
    sensor_id = fields.Integer(required=True)
    sensor_name = fields.String(required=True)
    unit = fields.String(required=True, allow_none=True)
    value = fields.Float(required=True)
    recorded_at = time_field(required=True)
    location = fields.Nested(PublicPlace, required=True, allow_none=True)


class LatestValues(Schema):
    """The latest values of a measurement; as GeoJSON they are the properties of features."""

    measurement = fields.Nested(Measurement, required=True)
    values = fields.List(fields.Nested(LatestValue), required=True)


class NewValue(Schema):
    id = fields.Raw(required=True, metadata={"description": "a sensor's id, or its key on the device", "example": 55})
    value = fields.Raw(required=True, metadata={"description": "a number; null: nothing measured", "example": 21.4})


class NewReading(Schema):
    recorded_at = fields.String(
        required=True, metadata={"description": "UTC unless it has a zone", "example": "2026-01-15T08:30:00Z"}
    )
    sensors = fields.List(fields.Nested(NewValue), required=True)


class NewReadings(Schema):
    """Documents the body; it is read by the ingestor, as what comes over MQTT is."""

    data = fields.List(fields.Nested(NewReading), required=True)


class QuarantinedReading(Schema):
    index = fields.Integer(required=True, metadata={"description": "place of the reading in what was sent, from 0"})
    reason = fields.String(required=True, metadata={"example": "unknown_sensor"})
    detail = fields.String(required=True, metadata={"example": "no sensor has the id 9999"})


class ReadingsReceipt(Schema):
    id = fields.String(required=True, metadata={"example": "ok"})
    message = fields.String(required=True)
    url = fields.String(required=True)
    errors = fields.Raw(required=True)
    received = fields.Integer(required=True, metadata={"description": "datapoints: stored + duplicate + quarantined"})
    stored = fields.Integer(required=True, metadata={"description": "new, or changed a value"})
    duplicate = fields.Integer(required=True, metadata={"description": "known already, or said twice"})
    quarantined = fields.List(fields.Nested(QuarantinedReading), required=True)


class RefusedReadings(ErrorSchema):
    """Why nothing could be stored; the counts are there where the body could be read."""

    stored = fields.Integer()
    duplicate = fields.Integer()
    quarantined = fields.List(fields.Nested(QuarantinedReading))
