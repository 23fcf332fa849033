"""The latest values of a measurement, as JSON and as GeoJSON."""

from collections.abc import Iterable
from typing import Any

from sql import Row


def latest_values_json(measurement: Row, rows: Iterable[Row]) -> dict[str, Any]:
    return {"measurement": measurement, "values": [{**_about(row), "location": _place(row)} for row in rows]}


def feature_collection_json(rows: Iterable[Row]) -> dict[str, Any]:
    """Return GeoJSON (RFC 7946): a feature a component, its id the component's."""
    return {"type": "FeatureCollection", "features": [_feature(row) for row in rows]}


def _feature(row: Row) -> dict[str, Any]:
    place = _place(row)
    point = {"type": "Point", "coordinates": [place["longitude"], place["latitude"]]} if place else None
    return {"type": "Feature", "id": row["component_id"], "geometry": point, "properties": _about(row)}


def _about(row: Row) -> dict[str, Any]:
    keys = ("component_id", "device_id", "device_name", "sensor_id", "sensor_name", "unit", "value", "recorded_at")
    return {key: row[key] for key in keys}


def _place(row: Row) -> dict[str, float] | None:
    if row["latitude"] is None or row["longitude"] is None:
        return None
    return {"latitude": row["latitude"], "longitude": row["longitude"]}
