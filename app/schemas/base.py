"""What all shapes share."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load


class Request(Schema):
    """What clients send; fields that we do not know are dropped, as on the platform whose wire this is."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _refuse_what_no_text_column_holds(self, data: Any, **kwargs: Any) -> Any:
        wrong = [field for field, value in data.items() if not _is_text(value)] if isinstance(data, Mapping) else []
        if wrong:
            raise ValidationError({field: ["holds a NUL character or half a surrogate pair"] for field in wrong})
        return data


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


class Done(Schema):
    """What was asked for has been done."""

    message = fields.String(required=True, metadata={"example": "OK"})
