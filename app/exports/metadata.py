"""The file beside the file: what was asked, of which devices, what each column is, and how to check it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.exports.columns import Column, Component
from sql import Row


def metadata(
    *,
    export: Row,
    filename: str,
    rows: int,
    size: int,
    sha256: str,
    complete_as_of: datetime,
    devices: Sequence[Row],
    components: Sequence[Component],
    columns: Sequence[Column],
    public_url: str,
    licence: str | None,
) -> dict[str, Any]:
    """Return it, fit for JSON."""
    question = export["question"]
    titles: dict[int, list[str]] = {}
    for column in columns:
        titles.setdefault(column.sensor_id, []).append(column.title)
    return {
        "title": title(devices),
        "file": {"name": filename, "rows": rows, "bytes": size, "sha256": sha256},
        "query": {"device_ids": export["device_ids"], **question},
        "complete_as_of": complete_as_of,
        "licence": licence,
        "source": public_url,
        "how_to_read": {
            "order": "device, time" if question["layout"] == "wide" else "device, sensor, time",
            "time": f"ISO 8601 in {question['tz']} with its offset"
            + (f"; the start of a bucket of {question['rollup']}" if question["rollup"] else ""),
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
                "data_version": device["data_version"],
                "components": [
                    {
                        "sensor_id": component.sensor_id,
                        "key": component.key,
                        "sensor": component.sensor,
                        "measurement": component.measurement,
                        "unit": component.unit,
                        **({"columns": titles[component.sensor_id]} if question["layout"] == "wide" else {}),
                    }
                    for component in components
                    if component.device_id == device["id"]
                ],
            }
            for device in devices
        ],
    }


def title(devices: Sequence[Row]) -> str:
    """Return what the export is of: a device's name, or how many devices."""
    return str(devices[0]["name"]) if len(devices) == 1 else f"{len(devices)} devices"
