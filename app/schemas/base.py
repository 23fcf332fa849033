"""What all shapes share."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields


class Request(Schema):
    """What clients send; fields that we do not know are dropped, as on the platform whose wire this is."""

    class Meta:
        unknown = EXCLUDE


def time_field(description: str = "", **kwargs: Any) -> fields.DateTime:
    about = {"description": description} if description else {}
    return fields.DateTime(metadata={"example": "2026-01-15T08:30:00Z", **about}, **kwargs)


class Done(Schema):
    """What was asked for has been done."""

    message = fields.String(required=True, metadata={"example": "OK"})
