"""Accounts and sessions."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, time_field

USERNAME = validate.And(
    validate.Length(min=3, max=30), validate.Regexp(r"^@?[^@\s]+$", error="may hold an @ only as its first character")
)


class SignUp(Request):
    username = fields.String(required=True, validate=USERNAME, metadata={"example": "ada"})
    email = fields.Email(required=True, metadata={"example": "ada@example.org"})
    password = fields.String(required=True, load_only=True, validate=validate.Length(min=8, max=200))
    city = fields.String(allow_none=True, load_default=None, validate=validate.Length(max=100))
    country_code = fields.String(allow_none=True, load_default=None, validate=validate.Regexp(r"^[A-Za-z]{2}$"))
    url = fields.Url(allow_none=True, load_default=None, schemes={"http", "https"})


class Place(Schema):
    city = fields.String(allow_none=True)
    country = fields.String(allow_none=True)
    country_code = fields.String(allow_none=True)


class User(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(["citizen", "researcher", "admin"]))
    username = fields.String(required=True)
    profile_picture = fields.String(required=True)
    url = fields.String(allow_none=True)
    location = fields.Nested(Place, required=True)
    updated_at = time_field(required=True)
    email = fields.String(required=True, metadata={"description": "`[FILTERED]` for others"})
