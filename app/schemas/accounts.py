"""Accounts and sessions."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from app.schemas.base import Request, WholeNumber, time_field
from app.schemas.devices import BareDevice, OwnerPlace

ROLES = ["citizen", "researcher", "admin"]
_RESERVED = ["new", "edit", "index", "session", "login", "logout", "users", "admin", "me"]


def _visible(name: str) -> None:
    if not name.isprintable():
        raise ValidationError("may hold no invisible character: it would look like somebody else's")


USERNAME = validate.And(
    validate.Length(min=3, max=30),
    _visible,
    validate.Regexp(r"^@?[^@\s/]+\Z", error="may hold an @ only as its first character, and no blank or slash"),
    validate.Regexp(r"^(?!\d+\Z)", error="may not be a number: that would look like an id"),
    validate.Regexp(rf"(?i)^(?!(?:{'|'.join(_RESERVED)})\Z)", error="is reserved"),
)
PASSWORD = validate.Length(min=8, max=200)


def _password(**kwargs: Any) -> fields.String:
    about = {"description": "at least 8 characters, and not like the username or the e-mail address"}
    return fields.String(load_only=True, validate=PASSWORD, metadata=about, **kwargs)


class Described(Request):
    """What a user may say of themselves."""

    city = fields.String(allow_none=True, validate=validate.Length(max=100), metadata={"example": "Barcelona"})
    country_code = fields.String(
        allow_none=True,
        validate=validate.Regexp(r"^[A-Za-z]{2}\Z", error="two letters, as ISO 3166 has them"),
        metadata={"example": "ES"},
    )
    url = fields.Url(allow_none=True, schemes={"http", "https"}, metadata={"example": "https://example.org"})

    @post_load
    def _upper(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if data.get("country_code"):
            data["country_code"] = data["country_code"].upper()
        return data


class SignUp(Described):
    username = fields.String(required=True, validate=USERNAME, metadata={"example": "ada"})
    email = fields.Email(required=True, metadata={"example": "ada@example.org"})
    password = _password(required=True)
    role = fields.String(validate=validate.OneOf(ROLES), metadata={"description": "for admins to give; else `citizen`"})


class UserChanges(Described):
    """Fields to change; those not sent stay."""

    username = fields.String(validate=USERNAME, metadata={"example": "ada"})
    email = fields.Email(metadata={"example": "ada@example.org"})
    password = _password()
    role = fields.String(validate=validate.OneOf(ROLES), metadata={"description": "for admins to change"})
    role_mask = WholeNumber(
        load_only=True,
        validate=validate.Range(0, 7),
        metadata={
            "description": "the role as a number, for admins: 0 and 1 citizen, 2 to 4 researcher, 5 and up admin"
        },
    )

    @post_load
    def _role(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        mask = data.pop("role_mask", None)
        if mask is not None:
            data.setdefault("role", ROLES[(mask > 1) + (mask > 4)])
        return data


class ResetRequest(Request):
    """Whose password was forgotten: one of these."""

    email = fields.String(metadata={"example": "ada@example.org"})
    username = fields.String(metadata={"example": "ada"})
    email_or_username = fields.String(metadata={"example": "ada"})

    @post_load
    def _login(self, data: dict[str, str], **kwargs: Any) -> dict[str, str]:
        login = data.get("email_or_username") or data.get("email") or data.get("username")
        if not login:
            raise ValidationError("is missing: send email, username or email_or_username", "email_or_username")
        return {"login": login}


class NewPassword(Request):
    password = _password(required=True)


class UserDevice(BareDevice):
    experiment_ids = fields.List(fields.Integer(), required=True)


class User(Schema):
    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    username = fields.String(required=True)
    profile_picture = fields.String(required=True)
    url = fields.String(allow_none=True)
    location = fields.Nested(OwnerPlace, required=True)
    updated_at = time_field(required=True)
    email = fields.String(required=True, metadata={"description": "`[FILTERED]` for others"})
    legacy_api_key = fields.String(required=True, metadata={"description": "always `[FILTERED]`: there are none"})
    forwarding_token = fields.String(required=True, metadata={"description": "always `[FILTERED]`"})
    forwarding_username = fields.String(required=True, metadata={"description": "always `[FILTERED]`"})
    devices = fields.List(fields.Nested(UserDevice), required=True)
