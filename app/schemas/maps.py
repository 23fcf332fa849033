"""Devices on maps."""

from marshmallow import Schema, fields, validate

from app.schemas.base import time_field
from app.schemas.devices import STATES, Hardware


class MapLocation(Schema):
    """What is not known is left out."""

    exposure = fields.String()
    latitude = fields.Float(required=True)
    longitude = fields.Float(required=True)
    city = fields.String()
    country = fields.String()


class MapDevice(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    system_tags = fields.List(fields.String(), required=True)
    user_tags = fields.List(fields.String(), required=True)
    last_reading_at = time_field(required=True)
    location = fields.Nested(MapLocation, required=True)
    hardware = fields.Nested(Hardware, required=True)


class Point(Schema):
    type = fields.String(required=True, validate=validate.Equal("Point"))
    coordinates = fields.List(fields.Float(), required=True, metadata={"description": "longitude, latitude"})


class PointProperties(Schema):
    """Of a device its name and whether it is online; of several at one place how many they are, and how many online.

    The value is the latest of the measurement asked for, of several their mean; left out where there is none.
    """

    name = fields.String()
    online = fields.Raw(required=True, metadata={"type": ["boolean", "integer"]})
    count = fields.Integer()
    value = fields.Float()


class Feature(Schema):
    type = fields.String(required=True, validate=validate.Equal("Feature"))
    id = fields.Integer(metadata={"description": "the device's; none for several"})
    geometry = fields.Nested(Point, required=True)
    properties = fields.Nested(PointProperties, required=True)


class MapValues(Schema):
    """A scale for the values: where the middle 96 % of the public devices' lie, everywhere, without those far out."""

    low = fields.Float(required=True)
    high = fields.Float(required=True)
    unit = fields.String(required=True, allow_none=True)


class FeatureCollection(Schema):
    """GeoJSON, RFC 7946; `values` is ours, and there where values were asked for and are known."""

    type = fields.String(required=True, validate=validate.Equal("FeatureCollection"))
    values = fields.Nested(MapValues)
    features = fields.List(fields.Nested(Feature), required=True)
