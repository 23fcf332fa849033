"""From raw to value: which version of an equation holds for each datapoint, and what it computes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ingestor.equation import Equation
from sql.arrays import Floats, Times

Integers = np.ndarray[Any, np.dtype[np.int32]]
FOREVER_US = 2**63 - 1


class Points(NamedTuple):
    """Datapoints as received, in the order of (device, sensor, time); no two share all three."""

    device_ids: Integers
    sensor_ids: Integers
    times: Times  # microseconds since 1970-01-01 UTC
    raws: Floats

    @classmethod
    def sorted(cls, device_ids: Any, sensor_ids: Any, times: Any, raws: Any) -> "Points":
        """Put columns in order; they may be lists."""
        order = np.lexsort((times, sensor_ids, device_ids))
        return cls(
            np.asarray(device_ids, np.int32)[order],
            np.asarray(sensor_ids, np.int32)[order],
            np.asarray(times, np.int64)[order],
            np.asarray(raws, np.float64)[order],
        )

    def components(self) -> Times:
        """Return one number for each point's (device, sensor); they rise."""
        return component_numbers(self.device_ids, self.sensor_ids)


def component_numbers(device_ids: Any, sensor_ids: Any) -> Times:
    """Return one number for a (device, sensor), or for each of a column of them."""
    numbers: Times = np.asarray(device_ids, np.int64) << 32 | sensor_ids
    return numbers


@dataclass(frozen=True, slots=True)
class Version:
    """An equation that holds for one component of a device, of a kit, or for a sensor anywhere, from a time on."""

    id: int
    sensor_id: int
    equation: Equation
    start_us: int
    end_us: int = FOREVER_US
    kit_id: int | None = None
    device_id: int | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """The versions that may hold for some datapoints, and what they need to know of the devices."""

    versions: Sequence[Version] = ()  # the widest scope first: sensor, kit, device
    devices_of_kits: Mapping[int, Integers] = field(default_factory=dict)
    # (device, key): the sensor that the key stands for
    sensors_of_keys: Mapping[tuple[int, str], int] = field(default_factory=dict)

    def chosen(self, points: Points) -> Integers:
        """Return for each point the place of its version in `versions`, or -1."""
        chosen = np.full(len(points.times), -1, np.int32)
        components = points.components()
        for place, version in enumerate(self.versions):  # the last to speak is the nearest
            if version.device_id is not None:
                number = component_numbers(version.device_id, version.sensor_id)
                start, end = np.searchsorted(components, (number, number + 1))
                rows = start + np.arange(end - start)
            else:
                rows = np.flatnonzero(points.sensor_ids == version.sensor_id)
                if version.kit_id is not None:
                    devices = self.devices_of_kits.get(version.kit_id, ())
                    rows = rows[np.isin(points.device_ids[rows], devices)]
            times = points.times[rows]
            chosen[rows[(times >= version.start_us) & (times < version.end_us)]] = place
        return chosen

    def apply(self, points: Points) -> tuple[Floats, Integers]:
        """Return the points' values, NaN for null, and the ids of the versions that made them, 0 for none."""
        values, ids = points.raws.copy(), np.zeros(len(points.times), np.int32)
        if not self.versions:
            return values, ids
        chosen = self.chosen(points)
        by_version = np.argsort(chosen, kind="stable")
        places, starts = np.unique(chosen[by_version], return_index=True)
        for place, rows in zip(places, np.split(by_version, starts[1:]), strict=True):
            if place >= 0:
                version = self.versions[place]
                others = {key: self._column(points, rows, key) for key in version.equation.inputs}
                values[rows] = version.equation(points.raws[rows], others)
                ids[rows] = version.id
        return values, ids

    def _column(self, points: Points, rows: Times, key: str) -> Floats:
        """Return what the component `key` sent at the times of these rows, NaN where it did not."""
        devices, place = np.unique(points.device_ids[rows], return_inverse=True)
        sensors = np.array([self.sensors_of_keys.get((device, key), 0) for device in devices.tolist()], np.int32)
        return raws_at(points, points.device_ids[rows], sensors[place], points.times[rows])


def raws_at(points: Points, device_ids: Integers, sensor_ids: Integers, times: Times) -> Floats:
    """Return what these points' raws are for such keys, NaN where they have none."""
    components, known_times = np.unique(points.components()), np.unique(points.times)
    numbers = np.searchsorted(components, points.components()) * len(known_times)
    numbers += np.searchsorted(known_times, points.times)  # they rise, as the points do
    wanted_components = component_numbers(device_ids, sensor_ids)
    component = np.minimum(np.searchsorted(components, wanted_components), len(components) - 1)
    time = np.minimum(np.searchsorted(known_times, times), len(known_times) - 1)
    place = np.minimum(np.searchsorted(numbers, component * len(known_times) + time), len(numbers) - 1)
    found = (points.components()[place] == wanted_components) & (points.times[place] == times)
    return np.where(found, points.raws[place], np.nan)
