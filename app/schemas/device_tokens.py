"""Device tokens."""

from datetime import UTC, datetime

from marshmallow import Schema, ValidationError, fields

from app.schemas.base import Request, time_field


def _in_the_future(time: datetime) -> None:
    if time <= datetime.now(UTC):
        raise ValidationError(f"{time:%Y-%m-%dT%H:%M:%SZ} is over; leave it out for a token that does not expire")


class NewDeviceToken(Request):
    expires_at = fields.AwareDateTime(
        default_timezone=UTC,
        allow_none=True,
        load_default=None,
        validate=_in_the_future,
        metadata={"description": "null: it does not expire", "example": "2030-01-15T08:30:00Z"},
    )


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
