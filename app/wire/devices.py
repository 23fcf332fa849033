"""Devices as JSON."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from app.device_records import DeviceRecord
from app.location import country_name, geohash
from app.wire import FILTERED
from app.wire.catalogue import measurement_json
from app.wire.users import place_json
from sql import Row

_NEW_FOR = timedelta(days=7)
ONLINE_FOR = timedelta(minutes=60)


def devices_json(records: Iterable[DeviceRecord], owns: Callable[[Row], bool]) -> list[Row]:
    """Return Devices; `owns` says of a device's row whether the reader owns it or is an admin."""
    sensors: dict[int, Row] = {}
    return [device_json(record, own=owns(record.device), sensors=sensors) for record in records]


def device_json(
    record: DeviceRecord, *, own: bool, token: str | None = None, sensors: dict[int, Row] | None = None
) -> Row:
    """Return a Device.

    `own`: the reader owns it or is an admin; `token`: just made, and shown this once; `sensors`: what has been made of
    sensors for other devices, by id.
    """
    sensors = {} if sensors is None else sensors
    for _, sensor in record.components:
        if sensor["id"] not in sensors:
            sensors[sensor["id"]] = sensor_in_device(sensor)
    return {
        **described_json(record.device, own=own, token=token),
        **({"owner": _owner(record.owner)} if record.owner else {}),
        "data": {"sensors": [_sensor_reading(c, sensors[c["sensor_id"]]) for c, _ in record.components]},
        "experiment_ids": record.device["experiment_ids"],
    }


def described_json(device: Row, *, own: bool, token: str | None = None) -> Row:
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


_POSTPROCESSING_KEYS = ("id", "blueprint_url", "hardware_url", "device_id", "forwarding_params", "meta")


def _owner(owner: Row) -> Row:
    return {
        "id": owner["id"],
        "uuid": owner["uuid"],
        "username": owner["username"],
        "url": owner["url"],
        "profile_picture": "",
        "location": place_json(owner["city"], owner["country_code"]),
        "device_ids": owner["device_ids"],
    }


def _sensor_reading(component: Row, sensor: Row) -> Row:
    return {
        **sensor,
        "value": component["latest_value"],
        "prev_value": component["previous_value"],
        "last_reading_at": component["latest_time"],
    }


def sensor_in_device(sensor: Row) -> Row:
    """Return a sensor as devices show it, with empty places for the latest values."""
    return {
        "id": sensor["id"],
        "ancestry": None if sensor["parent_id"] is None else str(sensor["parent_id"]),
        "name": sensor["name"],
        "description": sensor["description"],
        "unit": sensor["unit"],
        "created_at": sensor["created_at"],
        "updated_at": sensor["updated_at"],
        "uuid": sensor["uuid"],
        "default_key": sensor["default_key"],
        "datasheet": sensor["datasheet"],
        "unit_definition": sensor["unit_definition"],
        "measurement": measurement_json(sensor),
        "value": None,
        "prev_value": None,
        "last_reading_at": None,
        "tags": sensor["tags"],
    }
