"""Sessions."""

from marshmallow import Schema, fields

from app.schemas.base import Request


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
