"""Answer with JSON as the wire writes it: whole seconds in UTC with a Z, null for what is no number."""

from typing import Any

import orjson
from flask import Response

_UTC = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_SERIALIZE_NUMPY


def to_json(value: Any, *, microseconds: bool = False) -> bytes:
    """Encode; `microseconds`: keep a time's fraction where it has one."""
    return orjson.dumps(value, option=_UTC if microseconds else _UTC | orjson.OPT_OMIT_MICROSECONDS)


def answer(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, mimetype="application/json")


def location(what: str) -> dict[str, Any]:
    """Describe the header Location of an answer, for the OpenAPI document."""
    return {"Location": {"description": what, "schema": {"type": "string"}}}
