"""Which sensor the id or key of a datapoint means."""

from collections.abc import Iterable
from dataclasses import dataclass

from ingestor.payload import Datapoint
from sql import DictConnection, queries

_LARGEST_ID = 2**31 - 1
_LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class Sensors:
    """The sensors that a batch names."""

    ids: frozenset[int]
    keys: dict[tuple[int, str], list[int]]  # (device id, key): the candidates

    def find(self, device_id: int, sensor: int | str) -> int | str:
        """Return the sensor's id, or a sentence that says why there is none."""
        sensor_id = _id_of(sensor)
        if sensor_id is not None:
            return sensor_id if sensor_id in self.ids else f"no sensor has the id {str(sensor_id)[:40]}"
        candidates = self.keys.get((device_id, str(sensor)), [])
        if len(candidates) == 1:
            return candidates[0]
        if not candidates:
            return f"no sensor has the key {str(sensor)[:40]!r}"
        return f"the key {sensor!r} stands for the sensors {candidates}: send an id"


def look_up(conn: DictConnection, datapoints: Iterable[tuple[int, Datapoint]]) -> Sensors:
    """Look up what (device id, datapoint) pairs name: two queries, whatever their number."""
    ids: set[int] = set()
    keys: set[tuple[int, str]] = set()
    for device_id, point in datapoints:
        sensor_id = _id_of(point.sensor)
        if sensor_id is None:
            keys.add((device_id, str(point.sensor)))
        else:
            ids.add(sensor_id)
    ids = {sensor_id for sensor_id in ids if 0 < sensor_id <= _LARGEST_ID}
    # a NUL or a lone surrogate is no text to PostgreSQL
    known_as = [pair for pair in keys if pair[1].isprintable() and len(pair[1]) <= _LONGEST_KEY]
    found_ids = queries.sensors_by_id(conn, ids=list(ids)) if ids else []
    found_keys = (
        queries.sensors_by_key(conn, device_ids=[pair[0] for pair in known_as], keys=[pair[1] for pair in known_as])
        if known_as
        else []
    )
    return Sensors(
        frozenset(row["id"] for row in found_ids),
        {(row["device_id"], row["key"]): row["sensor_ids"] for row in found_keys},
    )


def _id_of(sensor: int | str) -> int | None:
    # clients write ids as text too
    if isinstance(sensor, int):
        return sensor
    return int(sensor) if sensor.isascii() and sensor.isdecimal() and len(sensor) <= _LONGEST_KEY else None
