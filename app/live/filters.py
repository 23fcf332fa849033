"""What a listener wants to hear of. Pure."""

from dataclasses import dataclass

from app.location import Box
from sql import Row


@dataclass(frozen=True, slots=True)
class Filter:
    """Datapoints that pass all of these; an empty set, or no box, lets everything pass."""

    device_ids: frozenset[int] = frozenset()
    sensor_ids: frozenset[int] = frozenset()
    measurement_ids: frozenset[int] = frozenset()
    bbox: Box | None = None

    def wants_device(self, device: Row) -> bool:
        """Whether a device passes; its place is the one that everybody may know."""
        if self.device_ids and device["id"] not in self.device_ids:
            return False
        return self.bbox is None or self.bbox.holds(device["latitude"], device["longitude"])

    def wants_sensor(self, sensor_id: int, measurement_id: int | None) -> bool:
        if self.sensor_ids and sensor_id not in self.sensor_ids:
            return False
        return not self.measurement_ids or measurement_id in self.measurement_ids
