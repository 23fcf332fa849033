"""Readings and their history."""

from marshmallow import Schema, fields

from app.schemas.base import time_field


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
        fields.Dict(), metadata={"description": "instead of readings where several components are asked for"}
    )
