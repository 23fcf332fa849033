"""Devices as JSON."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from app.wire import FILTERED
from app.wire.catalogue import measurement_json
from app.wire.users import place_json
from sql import Row

_NEW_FOR = timedelta(days=7)
_ONLINE_FOR = timedelta(minutes=60)


def device_json(device: Row, components: Iterable[Row], *, own: bool, token: str | None = None) -> Row:
    """Return a Device; `own`: the reader owns it or is an admin; `token`: just made, and shown this once."""
    return {
        "id": device["id"],
        "uuid": device["uuid"],
        "name": device["name"],
        "description": device["description"],
        "state": _state(device),
        "system_tags": _system_tags(device, datetime.now(UTC)),
        "user_tags": [],
        "last_reading_at": device["last_reading_at"],
        "created_at": device["created_at"],
        "updated_at": device["updated_at"],
        "notify": {
            "stopped_publishing": device["notify_stopped_publishing"],
            "low_battery": device["notify_low_battery"],
        },
        "device_token": token or FILTERED,
        "postprocessing": None,
        "location": _location(device),
        "data_policy": {
            "is_private": device["is_private"],
            "enable_forwarding": device["enable_forwarding"] if own else FILTERED,
            "precise_location": device["precise_location"] if own else FILTERED,
            "forwarding_destination": None if own else FILTERED,
        },
        "hardware": _hardware(device, own=own),
        "owner": {
            "id": device["owner_id"],
            "uuid": device["owner_uuid"],
            "username": device["owner_username"],
            "url": device["owner_url"],
            "profile_picture": "",
            "location": place_json(device["owner_city"], device["owner_country_code"]),
            "device_ids": device["owner_public_device_ids"],
        },
        "data": {"sensors": [_sensor_reading(component) for component in components]},
        "experiment_ids": [],
    }


def _state(device: Row) -> str:
    if device["last_reading_at"] is not None:
        return "has_published"
    return "never_published" if device["has_token"] else "not_configured"


def _system_tags(device: Row, now: datetime) -> Sequence[str]:
    heard = device["last_reading_at"]
    tags = ["online" if heard is not None and now - heard < _ONLINE_FOR else "offline"]
    if device["exposure"]:
        tags.append(device["exposure"])
    if now - device["created_at"] < _NEW_FOR:
        tags.append("new")
    if device["is_test"]:
        tags.append("test_device")
    return sorted(tags)


def _location(device: Row) -> Row:
    keys = ("exposure", "elevation", "latitude", "longitude")
    return {key: device[key] for key in keys if device[key] is not None}


def _hardware(device: Row, *, own: bool) -> Row:
    """Derive the hardware from what the device said of itself, else from its kit: slug `sck:2,1`, version `2.1`."""
    info = device["hardware_info"] or {}
    slug = device["kit_slug"] or ""
    version = info.get("hw_ver") or slug.partition(":")[2].replace(",", ".") or None
    kind = (slug.partition(":")[0].upper() or "SCK") if version else "Unknown"
    return {
        "name": device["kit_name"] or (f"SmartCitizen Kit {version}" if version else "Unknown"),
        "type": kind,
        "version": version,
        "slug": f"{kind.lower()}:{version.replace('.', ',')}" if version else kind.lower(),
        "last_status_message": device["hardware_info"] if own else FILTERED,
    }


def _sensor_reading(component: Row) -> Row:
    return {
        "id": component["id"],
        "ancestry": str(component["parent_id"]) if component["parent_id"] is not None else None,
        "name": component["name"],
        "description": component["description"],
        "unit": component["unit"],
        "created_at": component["created_at"],
        "updated_at": component["updated_at"],
        "uuid": component["uuid"],
        "default_key": component["default_key"],
        "datasheet": component["datasheet"],
        "unit_definition": component["unit_definition"],
        "measurement": measurement_json(component),
        "value": component["latest_value"],
        "prev_value": component["previous_value"],
        "last_reading_at": component["latest_time"],
        "tags": [],
    }
