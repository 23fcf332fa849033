"""Which sensor the id or key of a datapoint means."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ingestor.payload import Datapoint
from sql import DictConnection, queries

_LARGEST_ID = 2**31 - 1
_LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class Sensors:
    """The sensors that have been named so far."""

    ids: set[int] = field(default_factory=set)
    keys: dict[tuple[int, str], list[int]] = field(default_factory=dict)  # (device id, key): the candidates

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

    def look_up(self, conn: DictConnection, ids: set[int], datapoints: Iterable[tuple[int, Datapoint]]) -> None:
        """Look up these ids and what (device id, datapoint) pairs name: at most two queries, whatever their number."""
        named: set[int] = set()
        keys: set[tuple[int, str]] = set()
        for device_id, point in datapoints:
            sensor_id = _id_of(point.sensor)
            if sensor_id is None:
                keys.add((device_id, str(point.sensor)))
            else:
                named.add(sensor_id)
        unknown_ids = [sensor_id for sensor_id in (ids | named) - self.ids if 0 < sensor_id <= _LARGEST_ID]
        if unknown_ids:
            self.ids.update(row["id"] for row in queries.existing_sensors(conn, ids=unknown_ids))
        # A key of several sensors is asked for again: the device may have a component of that name by now.
        # A NUL or a lone surrogate is no text to PostgreSQL.
        unknown_keys = [
            pair
            for pair in keys
            if len(self.keys.get(pair, ())) != 1 and pair[1].isprintable() and len(pair[1]) <= _LONGEST_KEY
        ]
        if unknown_keys:
            device_ids, names = map(list, zip(*unknown_keys, strict=True))
            for row in queries.sensors_by_key(conn, device_ids=device_ids, keys=names):
                self.keys[row["device_id"], row["key"]] = row["sensor_ids"].tolist()


def _id_of(sensor: int | str) -> int | None:
    # clients write ids as text too
    if isinstance(sensor, int):
        return sensor
    return int(sensor) if sensor.isascii() and sensor.isdecimal() and len(sensor) <= _LONGEST_KEY else None
