"""Devices that are being set up."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, time_field


class OrphanChanges(Request):
    """What is known of the device so far; all of it may follow later."""

    name = fields.String(allow_none=True, validate=validate.Length(max=200), metadata={"example": "Balcony"})
    description = fields.String(allow_none=True, validate=validate.Length(max=10_000))
    exposure = fields.String(allow_none=True, validate=validate.OneOf(["indoor", "outdoor"]))
    latitude = fields.Float(allow_none=True, validate=validate.Range(-90, 90), metadata={"example": 41.39699})
    longitude = fields.Float(allow_none=True, validate=validate.Range(-180, 180), metadata={"example": 2.19456})
    user_tags = fields.String(
        allow_none=True,
        validate=validate.Length(max=1000),
        metadata={"description": "names of tags, separated by commas", "example": "air,school"},
    )


class Begun(Schema):
    onboarding_session = fields.UUID(
        required=True, metadata={"description": "send it as header `OnboardingSession` from now on"}
    )
    device_token = fields.String(
        required=True, metadata={"description": "for the device to know itself by", "example": "a1b2c3"}
    )


class Orphan(Begun):
    id = fields.Integer(required=True)
    name = fields.String(required=True, allow_none=True)
    description = fields.String(required=True, allow_none=True)
    exposure = fields.String(required=True, allow_none=True)
    latitude = fields.Float(required=True, allow_none=True)
    longitude = fields.Float(required=True, allow_none=True)
    user_tags = fields.String(required=True, allow_none=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
    device_handshake = fields.Boolean(
        required=True, metadata={"description": "whether the device has sent anything under its token"}
    )


class Address(Request):
    email = fields.Email(required=True, metadata={"example": "ada@example.org"})


class Username(Schema):
    username = fields.String(required=True, metadata={"example": "ada"})
