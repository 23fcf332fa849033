"""Read bodies that are forms as if they were JSON: the Smart Citizen platform takes either, and so do its clients."""

import re
from collections.abc import Iterable
from typing import Any

import flask
from marshmallow import Schema, fields
from webargs.flaskparser import FlaskParser

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_KEY = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


class BodyParser(FlaskParser):
    """`name=Roof`, `device_ids[]=1&device_ids[]=2` and `postprocessing_attributes[meta]=x` are what they look like."""

    def load_json(self, req: flask.Request, schema: Schema) -> Any:
        if req.mimetype not in _FORMS:
            return super().load_json(req, schema)
        unfolded = _unfold(req.form.items(multi=True))
        return {name: _typed(value, schema.fields.get(name)) for name, value in unfolded.items()}


def _unfold(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    unfolded: dict[str, Any] = {}
    for name, text in pairs:
        key = _KEY.fullmatch(name)
        if key is None or key[2] is None:
            unfolded[name] = text
        elif key[2] == "":
            among = unfolded.setdefault(key[1], [])
            if isinstance(among, list):
                among.append(text)
        else:
            inside = unfolded.setdefault(key[1], {})
            if isinstance(inside, dict):
                inside[key[2]] = text
    return unfolded


def _typed(value: Any, field: fields.Field[Any] | None) -> Any:
    """A form has text alone: make a number of it where a number is wanted."""
    if isinstance(field, fields.List) and isinstance(value, list):
        return [_typed(item, field.inner) for item in value]
    if isinstance(field, fields.Integer) and isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return value
