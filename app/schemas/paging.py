"""Which page of a list a client asks for."""

from typing import Any

from flask_smorest import Api
from marshmallow import fields

from app.schemas.base import Request

LARGEST_PAGE = 1000


class CountField(fields.Field[int]):
    """A whole number from 1 up; whatever else is sent counts as the default, as on the platform whose wire this is."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = value.strip()
        if number.isascii() and number.isdecimal() and len(number) < 100 and int(number) > 0:
            return int(number)
        default: int = self.load_default
        return default


class Paging(Request):
    """Query parameters of a list."""

    page = CountField(load_default=1, metadata={"description": "from 1 up; anything else counts as 1", "example": 2})
    per_page = CountField(
        load_default=25,
        metadata={"description": f"items a page, at most {LARGEST_PAGE:,}; otherwise 25", "example": 100},
    )


def register_fields(api: Api) -> None:
    """Tell the OpenAPI document what our field looks like on the wire."""
    api.register_field(CountField, "string", None)
