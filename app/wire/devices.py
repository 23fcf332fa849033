"""Devices as JSON: with their owners and components."""

from collections.abc import Callable, Iterable

from app.device_records import DeviceRecord
from app.wire.bare_devices import bare_device_json
from app.wire.catalogue import measurement_json
from app.wire.users import place_json
from sql import Row


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
        **bare_device_json(record.device, own=own, token=token),
        **({"owner": _owner(record.owner)} if record.owner else {}),
        "data": {"sensors": [_sensor_reading(c, sensors[c["sensor_id"]]) for c, _ in record.components]},
        "experiment_ids": record.device["experiment_ids"],
    }


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
