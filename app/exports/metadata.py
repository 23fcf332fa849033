"""What the file beside the file says of the devices, the columns and how to read them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.exports.columns import Column, Component
from app.exports.question import Question
from app.wire.bare_devices import location_json
from sql import Row


def metadata(
    question: Question,
    devices: Sequence[Row],
    components: Sequence[Component],
    columns: Sequence[Column],
    calibration_ids: Mapping[tuple[int, int], set[int]],
    calibrations: Mapping[int, Row],
) -> dict[str, Any]:
    """Return it, fit for JSON. Places are what everybody may know of them: files are passed on."""
    wide = question.layout == "wide"
    titles: dict[int, list[str]] = {}
    for column in columns:
        titles.setdefault(column.sensor_id, []).append(column.title)

    def described(device: Row) -> Iterator[dict[str, Any]]:
        for component in components:
            if component.device_id == device["id"]:
                ids = sorted(calibration_ids.get((component.device_id, component.sensor_id), ()))
                yield {
                    "sensor_id": component.sensor_id,
                    "key": component.key,
                    "sensor": component.sensor,
                    "measurement": component.measurement,
                    "unit": component.unit,
                    **({"columns": titles[component.sensor_id]} if wide else {}),
                    "calibrations": [_calibration(calibrations[id_]) for id_ in ids if id_ in calibrations],
                }

    return {
        "title": title(devices),
        "how_to_read": {
            "order": "device, time" if wide else "device, sensor, time",
            "time": "the start of a bucket" if question.rollup else "of the reading",
            "empty": "no reading, or one without a value",
        },
        "devices": [
            {
                "id": device["id"],
                "uuid": device["uuid"],
                "name": device["name"],
                "description": device["description"],
                "owner": device["owner_username"],
                "kit": {"slug": device["kit_slug"], "name": device["kit_name"]} if device["kit_slug"] else None,
                "location": location_json(device, own=False),
                "data_version": device["data_version"],
                "components": list(described(device)),
            }
            for device in devices
        ],
    }


def title(devices: Sequence[Row]) -> str:
    """Return what the file is of: a device's name, or how many devices."""
    return str(devices[0]["name"]) if len(devices) == 1 else f"{len(devices)} devices"


def _calibration(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "equation", "valid_from", "note")}
