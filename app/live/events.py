"""What travels on a stream, as server-sent events (HTML standard, section 9.2). Pure."""

from typing import Any

import orjson

from app.live.filters import Filter
from app.live.journal import Part
from app.live.position import Position
from ingestor.times import from_us

RETRY_MS = 3000
_JSON = orjson.OPT_UTC_Z


def opening(position: Position) -> bytes:
    """Say how soon to come back, and from where on: an event without data moves the browser's last event id alone."""
    return f"retry: {RETRY_MS}\nid: {position}\n\n".encode()


def heartbeat(position: Position) -> bytes:
    """Keep proxies from closing a quiet stream, and the listener's position young."""
    return f": still here\nid: {position}\n\n".encode()


def told(name: str, message: str, **more: Any) -> bytes:
    """Tell the listener something about its stream."""
    return f"event: {name}\ndata: {orjson.dumps({'message': message, **more}).decode()}\n\n".encode()


def readings(part: Part, wanted: Filter) -> bytes | None:
    """Return what a filter lets pass of a part, without its id, or None for nothing."""
    sensors_at: dict[int, list[dict[str, Any]]] = {}
    for sensor_id, time, row in zip(part.sensor_ids.tolist(), part.times.tolist(), part.found, strict=True):
        if row is not None and wanted.wants_sensor(sensor_id, row["measurement_id"]):
            sensor = {"id": sensor_id, "key": row["key"], "value": row["value"], "raw": row["raw"]}
            sensors_at.setdefault(time, []).append(sensor)
    if not sensors_at:
        return None
    body = {
        "device_id": part.device["id"],
        "received_at": part.arrived_at,
        "readings": [
            {"recorded_at": from_us(time), "late": time < part.horizon_us, "sensors": sensors}
            for time, sensors in sorted(sensors_at.items())
        ],
    }
    return b"event: readings\ndata: " + orjson.dumps(body, option=_JSON) + b"\n"


def at(position: Position, event: bytes) -> bytes:
    """Finish an event with the position of who has got it."""
    return event + f"id: {position}\n\n".encode()
