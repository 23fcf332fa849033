"""Sessions."""

from marshmallow import Schema, fields

from app.schemas.base import Request, time_field


class SignIn(Request):
    username = fields.String(required=True, metadata={"description": "username or e-mail address", "example": "ada"})
    password = fields.String(required=True, load_only=True)


class Refresh(Request):
    refresh_token = fields.String(required=True, load_only=True)


class Session(Schema):
    access_token = fields.String(required=True, metadata={"description": "send as `Authorization: Bearer …`"})
    token_type = fields.String(required=True, metadata={"example": "Bearer"})
    expires_in = fields.Integer(
        required=True, metadata={"description": "seconds the access token lasts", "example": 86400}
    )
    scope = fields.String(required=True, metadata={"description": "what it is good for", "example": "account"})
    refresh_token = fields.String(
        metadata={
            "description": "good for one POST /v0/sessions/refresh, within 30 days; using it twice ends the session"
        }
    )


class OpenSession(Schema):
    id = fields.UUID(required=True)
    application = fields.String(
        required=True, allow_none=True, metadata={"description": "its name; null: you signed in with your password"}
    )
    client = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "your browser or program; null: an application's", "example": "Firefox on Linux"},
    )
    network = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "where it was when the session began or was refreshed, without the end of its address",
            "example": "203.0.113.0/24",
        },
    )
    scopes = fields.List(fields.String(), required=True)
    created_at = time_field(required=True)
    refreshed_at = time_field(required=True)
    expires_at = time_field(required=True)
    current = fields.Boolean(required=True, metadata={"description": "whether it is the one you ask with"})
