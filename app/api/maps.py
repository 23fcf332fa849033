"""Devices for maps: as the Smart Citizen platform has them, and slim as GeoJSON."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import fields, validate

from app.api.respond import to_json
from app.auth import current_user
from app.compression import accepts_gzip, gzip
from app.database import source
from app.location import Box
from app.policy import NOBODY, Viewer, viewer
from app.schemas.base import ID, Request, WholeNumber
from app.schemas.fields import BoxField
from app.schemas.maps import FeatureCollection, MapDevice
from app.wire.bare_devices import ONLINE_FOR
from app.wire.maps import feature_collection, map_device_json
from sql import queries

blueprint = Blueprint("maps", __name__, description="Devices on maps")

_EVERYWHERE = Box(-180.0, -90.0, 180.0, 90.0)
_KEPT_S = 60
_MOST_KEPT = 64


class _Map(NamedTuple):
    """A map as it travels."""

    body: bytes
    compressed: bytes
    etag: str
    made_at: float  # of time.monotonic


_kept: dict[str, _Map] = {}  # public ones, by what they show
_lock = Lock()


class MapQuery(Request):
    """Parameters of GET /devices/map.geojson."""

    bbox = BoxField(
        load_default=None,
        metadata={
            "description": "`west,south,east,north`: devices in that box; by default everywhere",
            "example": "2.0,41.3,2.3,41.5",
        },
    )
    zoom = WholeNumber(
        load_default=None,
        validate=validate.Range(0, 30),
        metadata={
            "description": "the map's zoom: what would share 64 pixels becomes one feature with a `count`; by default "
            "every device is a feature",
            "example": 3,
        },
    )
    measurement_id = WholeNumber(
        load_default=None,
        validate=ID,
        metadata={"description": "show the latest value of this measurement, of clusters their mean", "example": 1},
    )
    online = fields.Boolean(
        load_default=False, metadata={"description": "devices heard of within the last hour", "example": True}
    )
    with_tags = fields.String(
        load_default=None, metadata={"description": "devices with one of these tags, by name", "example": "air|school"}
    )
    kit_id = WholeNumber(
        load_default=None,
        validate=ID,
        metadata={"description": "devices made of this kit", "example": 26},
    )


@blueprint.get("/devices/world_map")
@blueprint.response(200, MapDevice(many=True))
@blueprint.alt_response(304, description="nothing has changed since the ETag in If-None-Match")
def world_map() -> Response:
    """Show every public device that has a place and was heard of, for a map; up to a minute old."""
    return _answer(_keep("world_map", lambda: _world_map(NOBODY)), "public", "application/json")


@blueprint.get("/devices/fresh_world_map")
@blueprint.response(200, MapDevice(many=True))
@blueprint.alt_response(304, description="nothing has changed since the ETag in If-None-Match")
def fresh_world_map() -> Response:
    """Show the world map as it is now, with the private devices that the asking user may see."""
    return _answer(_pack(_world_map(viewer())), "private", "application/json")


@blueprint.get("/devices/map.geojson")
@blueprint.arguments(MapQuery, location="query", error_status_code=400)
@blueprint.response(200, FeatureCollection, content_type="application/geo+json")
@blueprint.alt_response(304, description="nothing has changed since the ETag in If-None-Match")
@blueprint.alt_response(400, description="a parameter is malformed")
def geojson(query: dict[str, Any]) -> Response:
    """Show the devices in a box as GeoJSON: little of each, and at small zooms clusters; up to a minute old.

    Who has signed in sees their private devices too, and everything as it is now.
    """
    if current_user() is not None:
        return _answer(_pack(_geojson(query, viewer())), "private", "application/geo+json")
    kept = _keep(str(sorted(query.items())), lambda: _geojson(query, NOBODY))
    return _answer(kept, "public", "application/geo+json")


def forget() -> None:
    """Make the next maps anew."""
    with _lock:
        _kept.clear()


def _world_map(who: Viewer) -> bytes:
    with source().pool.connection() as conn:
        rows = queries.world_map(conn, **who)
    now = datetime.now(UTC)
    return to_json([map_device_json(row, now) for row in rows])


def _geojson(query: dict[str, Any], who: Viewer) -> bytes:
    box, now = query["bbox"] or _EVERYWHERE, datetime.now(UTC)
    with source().pool.connection() as conn:
        points = queries.map_points(
            conn,
            **box._asdict(),
            **who,
            measurement_id=query["measurement_id"],
            heard_since=now - ONLINE_FOR if query["online"] else None,
            tags=query["with_tags"].split("|") if query["with_tags"] else None,
            kit_id=query["kit_id"],
        )
        values = queries.values_of_measurement(conn, measurement_id=query["measurement_id"])
    return feature_collection(points, query["zoom"], now, values)


def _keep(key: str, make: Callable[[], bytes]) -> _Map:
    """Return what was made for this key in the last minute, or make it."""
    found = _kept.get(key)
    if found is None or time.monotonic() - found.made_at > _KEPT_S:
        found = _pack(make())
        with _lock:
            while len(_kept) >= _MOST_KEPT:
                _kept.pop(next(iter(_kept)))
            _kept.pop(key, None)
            _kept[key] = found
    return found


def _pack(body: bytes) -> _Map:
    return _Map(body, gzip(body), blake2b(body, digest_size=12).hexdigest(), time.monotonic())


def _answer(found: _Map, audience: str, content_type: str) -> Response:
    if request.if_none_match.contains_weak(found.etag):
        answer = Response(status=304)
    else:
        packed = accepts_gzip()
        answer = Response(found.compressed if packed else found.body, content_type=content_type)
        if packed:
            answer.headers["Content-Encoding"] = "gzip"
    answer.set_etag(found.etag, weak=True)
    answer.headers["Cache-Control"] = f"public, max-age={_KEPT_S}" if audience == "public" else "private, no-cache"
    answer.vary.add("Authorization")
    return answer
