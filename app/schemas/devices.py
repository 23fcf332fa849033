"""Devices."""

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.catalogue import SensorMeasurement
from app.wire import FILTERED
from ingestor.loose_json import is_kept
from ingestor.times import parse_time

STATES = ["not_configured", "never_published", "has_published"]
_MAC_ADDRESS = re.compile(r"([0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2}")


def _text(longest: int, description: str = "", example: str | None = None, **kwargs: Any) -> fields.String:
    metadata = {"description": description, "example": example} if example else {"description": description}
    return fields.String(allow_none=True, validate=validate.Length(max=longest), metadata=metadata, **kwargs)


def _degrees(limit: int, example: float) -> fields.Float:
    return fields.Float(allow_none=True, validate=validate.Range(-limit, limit), metadata={"example": example})


class TagNames(fields.Field[list[str]]):
    """Names of tags, in one text with commas or in a list."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[str]:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValidationError("send names of tags, separated by commas")
        return list(dict.fromkeys(name.strip() for name in names if name.strip()))


def _kept(value: Any) -> None:
    if not is_kept(value):
        raise ValidationError("holds a number that is none or beyond 1.8e308, or more than 64 levels")


class PostprocessingChanges(Request):
    """Pointers that the external postprocessing worker reads and writes."""

    blueprint_url = _text(1000)
    hardware_url = _text(1000, "an address, or an id such as SCAS210028", "SCAS210028")
    latest_postprocessing = _text(40, "a time", "2026-01-15T08:30:00Z")
    meta = fields.Raw(allow_none=True, validate=_kept)
    forwarding_params = fields.Raw(allow_none=True, validate=_kept)

    @post_load
    def _read_time(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if data.get("latest_postprocessing"):
            try:
                data["latest_postprocessing"] = parse_time(data["latest_postprocessing"])
            except ValueError as error:
                raise ValidationError(str(error), "latest_postprocessing") from None
        return data


class DeviceChanges(Request):
    """Fields to change; those not sent stay."""

    name = fields.String(validate=validate.Length(min=1, max=200), metadata={"example": "Balcony"})
    description = _text(10_000)
    exposure = fields.String(allow_none=True, validate=validate.OneOf(["indoor", "outdoor"]))
    latitude = _degrees(90, 41.39699)
    longitude = _degrees(180, 2.19456)
    elevation = fields.Float(
        allow_none=True, validate=validate.Range(-12_000, 100_000), metadata={"description": "metres", "example": 12}
    )
    precise_location = fields.Boolean(
        metadata={"description": "whether others see the exact place, or one that is blurred by up to 0.001 degree"}
    )
    is_private = fields.Boolean(metadata={"description": "whether others see the device and its readings at all"})
    notify_low_battery = fields.Boolean()
    notify_stopped_publishing = fields.Boolean()
    notify_faulty_sensors = fields.Boolean(metadata={"description": "of sensors that are stuck or out of their range"})
    notify_errors = fields.Boolean(metadata={"description": "of errors that the device itself reports"})
    user_tags = TagNames(
        allow_none=True, metadata={"description": "names of tags, separated by commas", "example": "air,school"}
    )
    mac_address = fields.String(
        allow_none=True,
        validate=validate.Regexp(_MAC_ADDRESS.pattern + r"\Z", error="six pairs of hex digits, separated by : or -"),
        metadata={"example": "5e:cf:7f:d1:75:78"},
    )
    device_token = fields.String(
        allow_none=True,
        validate=validate.Regexp(r"^([A-Za-z0-9_-]{6,64}|\[FILTERED\])\Z", error="6 to 64 letters, digits, - or _"),
        metadata={"description": "a token that the device has already", "example": "a1b2c3"},
    )
    hardware_name_override = _text(100, "instead of what the device and its kit say", "SmartCitizen Kit 2.1")
    hardware_type_override = _text(100)
    hardware_version_override = _text(100)
    hardware_slug_override = _text(100)
    enable_forwarding = fields.Boolean(metadata={"description": "for researchers"})
    forwarding_destination_id = WholeNumber(allow_none=True, validate=ID, metadata={"description": "for researchers"})
    postprocessing_attributes = fields.Nested(
        PostprocessingChanges, allow_none=True, metadata={"description": "for researchers"}
    )
    is_test = fields.Boolean(metadata={"description": "for admins; test devices are on no map"})

    @validates_schema
    def _check_place(self, data: dict[str, Any], **kwargs: Any) -> None:
        for here, there in (("latitude", "longitude"), ("longitude", "latitude")):
            if here in data and there in data and data[here] is None and data[there] is not None:
                raise ValidationError(f"is missing, though there is a {there}", here)

    @post_load
    def _settle(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if data.get("mac_address"):
            data["mac_address"] = data["mac_address"].lower().replace("-", ":")
        if data.get("device_token") in (None, FILTERED):  # as we showed it: no change
            data.pop("device_token", None)
        return data


class NewDevice(DeviceChanges):
    name = fields.String(required=True, validate=validate.Length(min=1, max=200), metadata={"example": "Balcony"})
    kit_id = WholeNumber(
        allow_none=True,
        validate=ID,
        metadata={"description": "blueprint that gives the components", "example": 26},
    )


class Notify(Schema):
    stopped_publishing = fields.Boolean(required=True)
    low_battery = fields.Boolean(required=True)
    faulty_sensors = fields.Boolean(required=True)
    errors = fields.Boolean(required=True)


class Postprocessing(Schema):
    id = fields.Integer(required=True)
    blueprint_url = fields.String(required=True, allow_none=True)
    hardware_url = fields.String(required=True, allow_none=True)
    device_id = fields.Integer(required=True)
    forwarding_params = fields.Raw(required=True, allow_none=True)
    meta = fields.Raw(required=True, allow_none=True)
    latest_postprocessing = time_field(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class Location(Schema):
    """Where a device is; what is not known is left out."""

    exposure = fields.String()
    elevation = fields.Integer(metadata={"description": "metres"})
    latitude = fields.Float()
    longitude = fields.Float()
    geohash = fields.String()
    city = fields.String()
    country_code = fields.String()
    country = fields.String()


_OR_FILTERED = {"description": "`[FILTERED]` for others than the owner"}


class DataPolicy(Schema):
    is_private = fields.Boolean(required=True)
    enable_forwarding = fields.Raw(required=True, metadata={"type": ["boolean", "string"], **_OR_FILTERED})
    precise_location = fields.Raw(required=True, metadata={"type": ["boolean", "string"], **_OR_FILTERED})
    forwarding_destination = fields.String(required=True, allow_none=True, metadata=_OR_FILTERED)


class PublicHardware(Schema):
    name = fields.String(required=True, metadata={"example": "SmartCitizen Kit 2.1"})
    type = fields.String(required=True, metadata={"example": "SCK"})
    version = fields.String(required=True, allow_none=True, metadata={"example": "2.1"})
    slug = fields.String(required=True, metadata={"example": "sck:2,1"})


class Hardware(PublicHardware):
    last_status_message = fields.Raw(
        required=True,
        allow_none=True,
        metadata={"type": ["object", "string", "null"], "description": "what the device said last of itself"},
    )


class OwnerPlace(Schema):
    city = fields.String(required=True, allow_none=True)
    country = fields.String(required=True, allow_none=True)
    country_code = fields.String(required=True, allow_none=True)


class DeviceOwner(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    username = fields.String(required=True)
    url = fields.String(required=True, allow_none=True)
    profile_picture = fields.String(required=True)
    location = fields.Nested(OwnerPlace, required=True)
    device_ids = fields.List(fields.Integer(), required=True)


class SensorReading(Schema):
    """A sensor of a device, with its latest value."""

    id = fields.Integer(required=True)
    ancestry = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    unit = fields.String(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
    uuid = fields.UUID(required=True)
    default_key = fields.String(required=True, allow_none=True)
    datasheet = fields.String(required=True, allow_none=True)
    unit_definition = fields.String(required=True, allow_none=True)
    measurement = fields.Nested(SensorMeasurement, required=True, allow_none=True)
    value = fields.Float(required=True, allow_none=True)
    prev_value = fields.Float(required=True, allow_none=True)
    last_reading_at = time_field(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)


class LatestReadings(Schema):
    sensors = fields.List(fields.Nested(SensorReading), required=True)


class BareDevice(Schema):
    """A device without its owner and its sensors."""

    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    system_tags = fields.List(fields.String(), required=True)
    user_tags = fields.List(fields.String(), required=True)
    last_reading_at = time_field(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field("of the description; readings do not touch it", required=True)
    notify = fields.Nested(Notify, required=True)
    device_token = fields.String(
        required=True, metadata={"description": "shown once, in the answer that makes it; else `[FILTERED]`"}
    )
    mac_address = fields.String(metadata={"description": "for the owner, where there is one"})
    postprocessing = fields.Nested(Postprocessing, required=True, allow_none=True)
    location = fields.Nested(Location, metadata={"description": "left out in a list of somebody else's devices"})
    data_policy = fields.Nested(DataPolicy, required=True)
    hardware = fields.Nested(Hardware, required=True)


class Device(BareDevice):
    owner = fields.Nested(DeviceOwner, metadata={"description": "left out where the owner's account is archived"})
    data = fields.Nested(LatestReadings, required=True)
    experiment_ids = fields.List(fields.Integer(), required=True)
