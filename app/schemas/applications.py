"""Applications of OAuth2."""

from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, validate

from app.schemas.base import Request, time_field
from app.scopes import SCOPES

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _redirect_uri(text: str) -> None:
    """Check an address to send users back to: over TLS, on their own machine, or to a native program (RFC 8252)."""
    try:
        url = urlsplit(text)
        host, is_web = url.hostname, url.scheme in ("http", "https")
    except ValueError:
        raise ValidationError("is no address") from None
    if "#" in text or url.username or url.password or not text.isascii() or " " in text:
        raise ValidationError("may hold no fragment, user, blank or character outside ASCII")
    if (is_web and not host) or (url.scheme == "http" and host not in _LOOPBACK):
        raise ValidationError("must be an https address; http is for localhost alone")
    if not is_web and "." not in url.scheme:
        raise ValidationError("must begin with https://, or with a native program's scheme such as org.example.app:/")


class ApplicationChanges(Request):
    """Fields to change; those not sent stay."""

    name = fields.String(validate=validate.Length(min=1, max=100), metadata={"example": "Air quality map"})
    redirect_uris = fields.List(
        fields.String(validate=[validate.Length(max=500), _redirect_uri]),
        validate=validate.Length(max=20),
        metadata={
            "description": "where users may be sent back to; compared letter by letter",
            "example": ["https://map.example.org/callback"],
        },
    )
    redirect_uri = fields.String(
        load_only=True, metadata={"description": "the same as one text, separated by blanks or line ends"}
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))),
        validate=validate.Length(min=1),
        metadata={"description": "the most it may ask for", "example": ["devices:read", "readings:read"]},
    )

    @post_load
    def _one_list(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        text = data.pop("redirect_uri", None)
        if text is not None and "redirect_uris" not in data:
            data["redirect_uris"] = self.fields["redirect_uris"].deserialize(text.split())
        return data


class NewApplication(ApplicationChanges):
    name = fields.String(
        required=True, validate=validate.Length(min=1, max=100), metadata={"example": "Air quality map"}
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))),
        required=True,
        validate=validate.Length(min=1),
        metadata={"description": "the most it may ask for", "example": ["devices:read", "readings:read"]},
    )
    confidential = fields.Boolean(
        load_default=True,
        metadata={"description": "whether it can keep a secret; a page or a program on a phone cannot"},
    )


class Application(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    client_id = fields.String(required=True)
    confidential = fields.Boolean(required=True)
    redirect_uris = fields.List(fields.String(), required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class MadeApplication(Application):
    client_secret = fields.String(
        required=True, allow_none=True, metadata={"description": "shown this once; null where it is not confidential"}
    )
