"""Private tokens."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, expiry_field, time_field
from app.scopes import SCOPES


class NewToken(Request):
    name = fields.String(
        required=True,
        validate=validate.Length(min=1, max=100),
        metadata={"description": "what it is for", "example": "night job"},
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))),
        required=True,
        validate=validate.Length(min=1),
        metadata={"description": "what it is good for", "example": ["readings:write"]},
    )
    expires_at = expiry_field()


class Token(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = time_field(required=True)
    expires_at = time_field(required=True, allow_none=True)
    last_used_at = time_field("to the minute", required=True, allow_none=True)


class MadeToken(Token):
    token = fields.String(
        required=True, metadata={"description": "shown this once: send it as `Authorization: Bearer …`"}
    )
