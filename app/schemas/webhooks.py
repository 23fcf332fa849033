"""Webhooks."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from app.schemas.base import Request, time_field
from app.webhooks.sending import is_public

KINDS = ("stopped_publishing", "low_battery", "out_of_range", "stuck", "device_error")


def _address(text: str) -> None:
    """Check what can be checked before anything is sent; what a name stands for is looked at with each request."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValidationError("is no address") from None
    if url.scheme not in ("http", "https") or not host:
        raise ValidationError("must begin with https:// or http://, and name a host")
    if "#" in text or url.username or url.password or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValidationError("may hold no fragment, user, blank or character outside ASCII")
    try:
        ip_address(host)
    except ValueError:
        return  # a name
    if not is_public(host):
        raise ValidationError(f"{host} is no address of the public internet")


class WebhookChanges(Request):
    """Fields to change; those not sent stay."""

    url = fields.String(
        validate=[validate.Length(max=2000), _address], metadata={"example": "https://example.org/almanac"}
    )
    kinds = fields.List(
        fields.String(validate=validate.OneOf(KINDS)),
        allow_none=True,
        validate=validate.Length(min=1),
        metadata={"description": "of alerts; null: all", "example": ["stopped_publishing"]},
    )
    enabled = fields.Boolean(metadata={"description": "true: try again, at once, what waits"})


class NewWebhook(WebhookChanges):
    url = fields.String(
        required=True,
        validate=[validate.Length(max=2000), _address],
        metadata={"description": "on the public internet", "example": "https://example.org/almanac"},
    )


class Webhook(Schema):
    """An address that is told of alerts about its owner's devices, where their switches are on."""

    id = fields.Integer(required=True)
    url = fields.String(required=True)
    kinds = fields.List(fields.String(), required=True, allow_none=True, metadata={"description": "null: all"})
    enabled = fields.Boolean(required=True)
    disabled_reason = fields.String(required=True, allow_none=True)
    failures = fields.Integer(required=True, metadata={"description": "since the last success"})
    created_at = time_field(required=True)


class MadeWebhook(Webhook):
    secret = fields.String(required=True, metadata={"description": "shown this once: the receiver checks with it"})


class MadeSecret(Schema):
    secret = fields.String(
        required=True, metadata={"description": "shown this once; the one before signs too for a day"}
    )


class QueuedDelivery(Schema):
    id = fields.UUID(required=True, metadata={"description": "the header webhook-id"})


class Delivery(QueuedDelivery):
    """One thing that a webhook is told."""

    kind = fields.String(required=True, allow_none=True, metadata={"description": "of the alert; null: a test"})
    phase = fields.String(required=True, allow_none=True, validate=validate.OneOf(["began", "ended", None]))
    device_id = fields.Integer(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(["pending", "delivered", "failed"]))
    attempts = fields.Integer(required=True)
    tried_at = time_field(required=True, allow_none=True)
    status = fields.Integer(required=True, allow_none=True, metadata={"description": "of the last answer"})
    error = fields.String(required=True, allow_none=True)
    created_at = time_field(required=True)
