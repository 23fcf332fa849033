"""Devices as JSON by themselves: without owner and components."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from app.location import country_name, geohash
from app.wire import FILTERED
from sql import Row

_NEW_FOR = timedelta(days=7)
ONLINE_FOR = timedelta(minutes=60)
_POSTPROCESSING_KEYS = ("id", "blueprint_url", "hardware_url", "device_id", "forwarding_params", "meta")


def bare_device_json(device: Row, *, own: bool, token: str | None = None) -> Row:
    """Return what a Device says of itself: without owner and components."""
    mac_address = {"mac_address": device["mac_address"]} if own and device["mac_address"] else {}
    return {
        "id": device["id"],
        "uuid": device["uuid"],
        "name": device["name"],
        "description": device["description"],
        "state": state(device),
        "system_tags": system_tags(device, datetime.now(UTC)),
        "user_tags": device["user_tags"],
        "last_reading_at": device["last_reading_at"],
        "created_at": device["created_at"],
        "updated_at": device["updated_at"],
        "notify": {
            "stopped_publishing": device["notify_stopped_publishing"],
            "low_battery": device["notify_low_battery"],
            "faulty_sensors": device["notify_faulty_sensors"],
            "errors": device["notify_errors"],
        },
        "device_token": token or FILTERED,
        **mac_address,
        "postprocessing": _postprocessing(device),
        "location": location_json(device, own=own),
        "data_policy": {
            "is_private": device["is_private"],
            "enable_forwarding": device["enable_forwarding"] if own else FILTERED,
            "precise_location": device["precise_location"] if own else FILTERED,
            "forwarding_destination": device["forwarding_destination"] if own else FILTERED,
        },
        "hardware": {
            **hardware_of(device, (device["hardware_info"] or {}).get("hw_ver")),
            "last_status_message": device["hardware_info"] if own else FILTERED,
        },
    }


def state(device: Row) -> str:
    if device["last_reading_at"] is not None:
        return "has_published"
    return "never_published" if device["configured"] else "not_configured"


def system_tags(device: Row, now: datetime) -> Sequence[str]:
    heard = device["last_reading_at"]
    tags = ["online" if heard is not None and now - heard < ONLINE_FOR else "offline"]
    if device["exposure"]:
        tags.append(device["exposure"])
    if now - device["created_at"] < _NEW_FOR:
        tags.append("new")
    if device["is_test"]:
        tags.append("test_device")
    return sorted(tags)


def location_json(device: Row, *, own: bool) -> Row:
    """Return where the device is: exactly for its owner, for others as exactly as the owner wishes."""
    exact = "exact_" if own else ""
    latitude, longitude = device[f"{exact}latitude"], device[f"{exact}longitude"]
    location = {
        "exposure": device["exposure"],
        "elevation": None if device["elevation"] is None else round(device["elevation"]),
        "latitude": latitude,
        "longitude": longitude,
        "geohash": None if latitude is None or longitude is None else geohash(latitude, longitude),
        "city": device["city"],
        "country_code": device["country_code"],
        "country": country_name(device["country_code"]),
    }
    return {key: value for key, value in location.items() if value is not None}


def hardware_of(device: Row, said: object) -> Row:
    """Say what the device is: as its owner calls it, else as it says of itself (`said`: its version), else its kit."""
    return _hardware(
        _text(device["hardware_version_override"]) or _text(said),
        _text(device["hardware_name_override"]),
        _text(device["hardware_type_override"]),
        _text(device["hardware_slug_override"]),
        device["kit_name"],
        device["kit_slug"] or "",
    )


def _text(value: object) -> str | None:
    """Keep text alone: what a device says of itself may be anything."""
    return value or None if isinstance(value, str) else None


@lru_cache(maxsize=1024)
def _hardware(
    version: str | None, name: str | None, kind: str | None, slug: str | None, kit_name: str | None, kit_slug: str
) -> Row:
    # a kit's slug says both: `sck:2,1` is version 2.1 of type SCK
    version = version or kit_slug.partition(":")[2].replace(",", ".") or None
    kind = kind or ((kit_slug.partition(":")[0].upper() or "SCK") if version else "Unknown")
    return {
        "name": name or kit_name or (f"SmartCitizen Kit {version}" if version else "Unknown"),
        "type": kind,
        "version": version,
        "slug": slug or (f"{kind.lower()}:{version.replace('.', ',')}" if version else kind.lower()),
    }


def _postprocessing(device: Row) -> Row | None:
    if device["postprocessing"] is None:
        return None
    return {
        **{key: device["postprocessing"][key] for key in _POSTPROCESSING_KEYS},
        "latest_postprocessing": device["latest_postprocessing"],
        "created_at": device["postprocessing_created_at"],
        "updated_at": device["postprocessing_updated_at"],
    }
