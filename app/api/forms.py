"""Read bodies that are forms as if they were JSON: the Smart Citizen platform takes either, and so do its clients."""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import flask
from marshmallow import Schema, missing
from webargs.flaskparser import FlaskParser

from app.api.bodies import unpacked
from app.errors import invalid

_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_DEEPEST = 100
_KEY = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?")


class BodyParser(FlaskParser):
    """`name=Roof`, `device_ids[]=1&device_ids[]=2` and `postprocessing_attributes[meta]=x` are what they look like."""

    def load_json(self, req: flask.Request, schema: Schema) -> Any:
        body = b"" if req.mimetype == _MULTIPART else req.get_data()
        # An object is no form, whatever its sender calls it, as curl does unless it is told otherwise.
        if req.mimetype in (_FORM, _MULTIPART) and not body.lstrip().startswith(b"{"):
            return _unfold(req.form.items(multi=True))
        return _object(unpacked(body)) if body.strip() else missing


def _object(body: bytes) -> dict[str, Any]:
    try:
        read = json.loads(body)
    except RecursionError:
        _refuse_depth()
    except ValueError as error:
        invalid(400, body=f"is no JSON: {error}")
    if not isinstance(read, dict):
        invalid(422, body="is no JSON object: send its fields between { and }")
    level: list[Any] = [read]
    for _ in range(_DEEPEST):
        level = [part for thing in level for part in _parts(thing) if isinstance(part, dict | list)]
        if not level:
            return read
    _refuse_depth()


def _parts(thing: Any) -> Iterable[Any]:
    return thing.values() if isinstance(thing, dict) else thing


def _refuse_depth() -> NoReturn:
    invalid(400, body=f"has more than {_DEEPEST} levels, of objects and lists within each other")


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
