"""Read devices together with everything that is shown of them: four queries, however many devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.policy import Viewer, viewer
from sql import DictConnection, Row, queries


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device and what belongs to it, as rows."""

    device: Row
    owner: Row | None  # None: archived
    components: list[tuple[Row, Row]]  # each with its sensor, by the sensor's name


def read_devices(conn: DictConnection, ids: Sequence[int], who: Viewer | None = None) -> list[DeviceRecord]:
    """Return the devices with these ids, in this order, as `who` may see them; archived ones are left out.

    `who` is the asking user, unless it is given.
    """
    devices = queries.devices_by_ids(conn, ids=list(ids)) if ids else []
    if not devices:
        return []
    owner_ids = list({device["owner_id"] for device in devices})
    owners = {row["id"]: row for row in queries.owners_by_ids(conn, ids=owner_ids, **(who or viewer()))}
    components = queries.components_of_devices(conn, ids=list(ids))
    sensor_ids = list({component["sensor_id"] for component in components})
    sensors = {row["id"]: row for row in queries.sensors_by_ids(conn, ids=sensor_ids)}
    of_device: dict[int, list[tuple[Row, Row]]] = {device["id"]: [] for device in devices}
    for component in components:
        if component["device_id"] in of_device:
            of_device[component["device_id"]].append((component, sensors[component["sensor_id"]]))
    return [DeviceRecord(row, owners.get(row["owner_id"]), of_device[row["id"]]) for row in devices]
