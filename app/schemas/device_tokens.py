"""Device tokens."""

from marshmallow import Schema, fields

from app.schemas.base import Request, expiry_field, time_field


class NewDeviceToken(Request):
    expires_at = expiry_field()


class DeviceToken(Schema):
    id = fields.Integer(required=True, metadata={"example": 12})
    created_at = time_field(required=True)
    expires_at = time_field("null: it does not expire", required=True, allow_none=True)
    last_used_at = time_field("to five minutes; null: not yet", required=True, allow_none=True)


class MadeDeviceToken(DeviceToken):
    device_token = fields.String(
        required=True,
        metadata={
            "description": "shown this once; user name, password and client id at the broker",
            "example": "Zk3vQ8mT1xWc5RbN7yHs2LpD9fGj4KaE",
        },
    )
