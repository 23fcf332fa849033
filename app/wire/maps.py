"""Devices on maps, as JSON and as GeoJSON."""

from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from typing import Any

import numpy as np
import orjson

from app.location import country_name
from app.wire import FILTERED
from app.wire.bare_devices import ONLINE_FOR, hardware_of, system_tags
from sql import Row

_CELLS_A_TILE = 4  # to a side: 64 pixels a cell on the usual tiles of 256
_CLUSTERED_BELOW = 16  # from this zoom on a cell is smaller than 100 m
_GEOMETRY = b'"geometry":{"type":"Point","coordinates":%b}'
_DEVICE = b'{"type":"Feature","id":%d,' + _GEOMETRY + b',"properties":{"name":%b,"online":%b%b}}'
_CLUSTER = b'{"type":"Feature",' + _GEOMETRY + b',"properties":{"count":%d,"online":%d%b}}'


def map_device_json(device: Row, now: datetime) -> Row:
    """Return a MapDevice, as anybody sees it."""
    location = {"exposure": device["exposure"]} if device["exposure"] else {}
    location |= {"latitude": device["latitude"], "longitude": device["longitude"]}
    if device["city"]:
        location |= {"city": device["city"], "country": country_name(device["country_code"])}
    return {
        "id": device["id"],
        "name": device["name"],
        "description": device["description"],
        "state": "has_published",
        "system_tags": system_tags(device, now),
        "user_tags": device["user_tags"],
        "last_reading_at": device["last_reading_at"],
        "location": location,
        "hardware": {**hardware_of(device, device["hardware_version"]), "last_status_message": FILTERED},
    }


def feature_collection(points: Row, zoom: int | None, now: datetime, values: Row) -> bytes:
    """Return GeoJSON (RFC 7946) of the columns that the query map_points gives.

    `zoom` is a map's usual one: devices that share one of the 64-pixel cells of that zoom become one feature, with
    their `count`. Without it every device is a feature of its own. `values`: what values_of_measurement gives.
    """
    features: list[bytes] = []
    if points["ids"] is not None:
        online = points["heard"] > (now - ONLINE_FOR).timestamp() * 1e6
        alone = np.ones(len(online), dtype=bool)
        if zoom is not None and zoom < _CLUSTERED_BELOW:
            cells = _cells(points["longitudes"], points["latitudes"], zoom)
            _, cell_of, counts = np.unique(cells, return_inverse=True, return_counts=True)
            alone = counts[cell_of] == 1
            features += _clusters(points, online, cell_of, counts)
        features += _devices(points, online, alone)
    scale = b"" if values["low"] is None else b'"values":%b,' % orjson.dumps(values)
    return b'{"type":"FeatureCollection",%b"features":[%b]}' % (scale, b",".join(features))


def _cells(longitudes: Any, latitudes: Any, zoom: int) -> Any:
    """Number the cell of each place in Web Mercator (EPSG:3857), where maps have their tiles."""
    side = _CELLS_A_TILE * 2**zoom
    east = (longitudes + 180) / 360
    bounded = np.radians(np.clip(latitudes, -85.05, 85.05))
    south = (1 - np.arcsinh(np.tan(bounded)) / np.pi) / 2
    return (np.clip(south, 0, 1) * side).astype(np.int64) * (side + 1) + (east * side).astype(np.int64)


def _clusters(points: Row, online: Any, cell_of: Any, counts: Any) -> Iterator[bytes]:
    longitudes = np.bincount(cell_of, points["longitudes"]) / counts
    latitudes = np.bincount(cell_of, points["latitudes"]) / counts
    heard = np.bincount(cell_of, online)
    known = np.isfinite(points["values"])
    measured = np.bincount(cell_of, known)
    sums = np.bincount(cell_of, np.where(known, points["values"], 0))
    means = np.divide(sums, measured, out=np.full(len(counts), np.nan), where=measured > 0)
    for cell in np.flatnonzero(counts > 1).tolist():
        place = b"[%.5f,%.5f]" % (longitudes[cell], latitudes[cell])
        yield _CLUSTER % (place, counts[cell], heard[cell], _value(means[cell]))


def _value(value: float) -> bytes:
    return b',"value":%.6g' % value if isfinite(value) else b""


def _devices(points: Row, online: Any, alone: Any) -> Iterator[bytes]:
    # written by hand: 20,000 features as dicts of dicts take three times as long, most of it the garbage collector's
    columns = [points[name].tolist() for name in ("ids", "longitudes", "latitudes", "values")]
    for number, longitude, latitude, value, name, is_online, is_alone in zip(
        *columns, points["names"], online.tolist(), alone.tolist(), strict=True
    ):
        if is_alone:
            place = orjson.dumps((longitude, latitude))
            yield _DEVICE % (number, place, orjson.dumps(name), b"true" if is_online else b"false", _value(value))
