"""From raw to value: which version of an equation holds for each datapoint, and what it computes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ingestor.columns import Columns, Floats, Integers, Mask, Times
from ingestor.equation import Equation

BEGINNING_US, FOREVER_US = -(2**63), 2**63 - 1


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

    def apply(self, rows: Columns) -> Columns:
        """Return rows, which are in the order of their keys, with the values that their raws make."""
        if not self.versions or not len(rows):
            return rows
        readings = None  # most equations need no other component
        values, ids = rows.raws.copy(), np.zeros(len(rows), np.int32)
        chosen = self._choose(rows)
        by_version = np.argsort(chosen, kind="stable")
        places, starts = np.unique(chosen[by_version], return_index=True)
        for place, here in zip(places, np.split(by_version, starts[1:]), strict=True):
            if place >= 0:
                version = self.versions[place]
                others = {}
                for key in version.equation.inputs:
                    readings = readings or Readings(rows)
                    device_ids, times = rows.device_ids[here], rows.times[here]
                    others[key] = readings.raws(device_ids, self.sensors(device_ids, key), times)
                values[here] = version.equation(rows.raws[here], others)
                ids[here] = version.id
        return replace(rows, values=values, calibration_ids=ids)

    def _choose(self, rows: Columns) -> Integers:
        """Return for each row the place of its version in `versions`, or -1."""
        chosen = np.full(len(rows), -1, np.int32)
        components = rows.components()
        for place, version in enumerate(self.versions):  # the last to speak is the nearest
            if version.device_id is not None:
                component = version.device_id << 32 | version.sensor_id
                start, end = np.searchsorted(components, (component, component + 1))
                here = np.arange(start, end)
            else:
                here = np.flatnonzero(rows.sensor_ids == version.sensor_id)
                if version.kit_id is not None:
                    here = here[self.covers(version, rows.device_ids[here])]
            times = rows.times[here]
            chosen[here[(times >= version.start_us) & (times < version.end_us)]] = place
        return chosen

    def covers(self, version: Version, device_ids: Integers) -> Mask:
        """Return which of these devices are in a version's scope."""
        if version.device_id is not None:
            return np.equal(device_ids, version.device_id)
        if version.kit_id is not None:
            return np.isin(device_ids, self.devices_of_kits.get(version.kit_id, ()))
        return np.ones(len(device_ids), np.bool_)

    def sensors(self, device_ids: Integers, key: str) -> Integers:
        """Return the sensor that a key stands for on each of these devices, 0 where it stands for none."""
        devices, place = np.unique(device_ids, return_inverse=True)
        sensors = [self.sensors_of_keys.get((device, key), 0) for device in devices.tolist()]
        return np.array(sensors, np.int32)[place]


class Readings:
    """Finds raws by their keys; `rows` are in the order of theirs."""

    def __init__(self, rows: Columns) -> None:
        self._raws = rows.raws
        self._components, component = np.unique(rows.components(), return_inverse=True)
        self._times, time = np.unique(rows.times, return_inverse=True)
        self._numbers = component * len(self._times) + time  # they rise, as the keys do

    def raws(self, device_ids: Integers, sensor_ids: Integers, times: Times) -> Floats:
        """Return what these components sent at these times, NaN where nothing is known of it."""
        if not len(self._raws):
            return np.full(len(times), np.nan)
        component, is_component = _place(self._components, device_ids.astype(np.int64) << 32 | sensor_ids)
        time, is_time = _place(self._times, times)
        place, is_reading = _place(self._numbers, component * len(self._times) + time)
        return np.where(is_component & is_time & is_reading, self._raws[place], np.nan)


def _place(known: Times, wanted: Times) -> tuple[Times, Mask]:
    """Return where the wanted numbers stand among known ones, which rise, and whether they do."""
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return place, known[place] == wanted
