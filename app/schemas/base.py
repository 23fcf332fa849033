"""What all shapes share."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

LARGEST_ID = 2**31 - 1  # PostgreSQL's integer
ID = validate.Range(1, LARGEST_ID)

# What a client has sent wrong is named in the answer, where it is short.
_REASONS: dict[type[fields.Field[Any]], dict[str, str]] = {
    fields.Field: {"required": "is missing", "null": "may not be null"},
    fields.String: {"invalid": "is no text"},
    fields.Number: {"invalid": "{input!r:.40} is no number", "too_large": "is beyond any number"},
    fields.Integer: {"invalid": "{input!r:.40} is no whole number"},
    fields.Float: {"special": "is no finite number"},
    fields.Boolean: {"invalid": "{input!r:.40} is neither true nor false"},
    fields.List: {"invalid": "is no list"},
    fields.Mapping: {"invalid": "is no object"},
    fields.UUID: {"invalid_uuid": "is no UUID"},
    fields.Email: {"invalid": "is no e-mail address"},
    fields.Url: {"invalid": "is no address such as https://example.org"},
}
for _kind, _reasons in _REASONS.items():
    _kind.default_error_messages = {**_kind.default_error_messages, **_reasons}

_WHOLE = re.compile(r"[+-]?[0-9]+")
_LATEST_EXPIRY = datetime(2200, 1, 1, tzinfo=UTC)  # far from where UTC and other zones end in different years


class Request(Schema):
    """What clients send; fields that we do not know are dropped, as on the platform whose wire this is."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "is no object"}  # noqa: RUF012 - marshmallow's own declaration

    @pre_load
    def _refuse_what_no_text_column_holds(self, data: Any, **kwargs: Any) -> Any:
        wrong = [field for field, value in data.items() if not _is_text(value)] if isinstance(data, Mapping) else []
        if wrong:
            raise ValidationError({field: ["holds a NUL character or half a surrogate pair"] for field in wrong})
        return data


class WholeNumber(fields.Integer):
    """An integer as clients send it, in a query or a form as text: `1.0` is one, 1.5 is not and is not cut to 1."""

    def _validated(self, value: Any) -> int:
        fraction = isinstance(value, float) and not value.is_integer()
        if fraction or (isinstance(value, str) and not _WHOLE.fullmatch(value.strip())):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


def _is_text(value: Any) -> bool:
    """Whether PostgreSQL can keep every string in this value."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, Mapping):
        return all(_is_text(key) and _is_text(part) for key, part in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True


def time_field(description: str = "", **kwargs: Any) -> fields.DateTime:
    about = {"description": description} if description else {}
    return fields.DateTime(metadata={"example": "2026-01-15T08:30:00Z", **about}, **kwargs)


def expiry_field() -> fields.AwareDateTime:
    """When a token is to end."""
    return fields.AwareDateTime(
        default_timezone=UTC,
        allow_none=True,
        load_default=None,
        validate=_check_expiry,
        metadata={"description": "null: it does not expire", "example": "2030-01-15T08:30:00Z"},
    )


def _check_expiry(time: datetime) -> None:
    if time <= datetime.now(UTC):
        raise ValidationError(f"{time.isoformat()} is over; leave it out for a token that does not expire")
    if time > _LATEST_EXPIRY:
        latest = f"{_LATEST_EXPIRY:%Y-%m-%d}"
        raise ValidationError(f"{time.isoformat()} is after {latest}; leave it out for a token that does not expire")


class Done(Schema):
    """What was asked for has been done."""

    message = fields.String(required=True, metadata={"example": "OK"})
