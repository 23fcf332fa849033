"""From raw to value: which version of an equation holds for each datapoint, and what it computes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ingestor.columns import Columns, Floats, Integers, Mask, Times, first_of_each
from ingestor.equation import Equation, Form

BEGINNING_US, FOREVER_US = -(2**63), 2**63 - 1

_Scope = tuple[int | None, int | None]  # a kit, a device, or neither: everywhere


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

    @property
    def component(self) -> int:
        """Its sensor within its scope, as one number."""
        return (self.device_id or self.kit_id or 0) << 32 | self.sensor_id


class Calibration:
    """The versions that may hold for some datapoints, and what they need to know of the devices.

    `kits` are the kits of those devices that have one. `sensors_of_keys` are, by device and key, the sensors that keys
    stand for.
    """

    def __init__(
        self,
        versions: Sequence[Version] = (),
        kits: Mapping[int, int] | None = None,
        sensors_of_keys: Mapping[tuple[int, str], int] | None = None,
    ) -> None:
        # The widest scope first, and in each the versions of a component together, the oldest first.
        self.versions = sorted(
            versions,
            key=lambda each: (each.device_id is not None, each.kit_id is not None, each.component, each.start_us),
        )
        self.sensors_of_keys = {} if sensors_of_keys is None else sensors_of_keys
        self._kits = {} if kits is None else kits
        self._components = np.array([version.component for version in self.versions], np.int64)
        self._starts = np.array([version.start_us for version in self.versions], np.int64)
        self._ends = np.array([version.end_us for version in self.versions], np.int64)
        self._crossing = [version for version in self.versions if version.equation.inputs]
        self._ids = np.array([version.id for version in self.versions], np.int32)
        of_kits = sum(version.kit_id is not None for version in self.versions)
        of_devices = sum(version.device_id is not None for version in self.versions)
        self._first_of_kits = len(self.versions) - of_devices - of_kits
        self._first_of_devices = len(self.versions) - of_devices
        forms: dict[Form, int] = {}
        self._forms = np.array([forms.setdefault(each.equation.form, len(forms)) for each in self.versions], np.int32)

    def apply(self, rows: Columns, readings: "Readings | None" = None) -> Columns:
        """Return rows, which are in the order of their keys, with the values that their raws make.

        `readings` are those of the rows, where somebody has them already.
        """
        if not self.versions or not len(rows):
            return rows
        chosen = self._choose(rows)
        if not (chosen >= 0).any():
            return rows
        readings = readings or Readings(rows)
        values, ids = rows.raws.copy(), np.where(chosen >= 0, self._ids[chosen], 0).astype(np.int32)
        forms = np.where(chosen >= 0, self._forms[chosen], -1)
        for number in np.unique(forms[forms >= 0]):
            here = np.flatnonzero(forms == number)
            places, place = np.unique(chosen[here], return_inverse=True)
            equations = [self.versions[each].equation for each in places]
            form = equations[0].form
            numbers = np.array([equation.numbers for equation in equations]).T
            others = {}
            for key in form.inputs:
                device_ids, times = rows.device_ids[here], rows.times[here]
                others[key] = readings.raws(device_ids, self.sensors(device_ids, key), times)
            values[here] = form(numbers[:, place] if len(places) > 1 else numbers, rows.raws[here], others)
        return replace(rows, values=values, calibration_ids=ids)

    def _choose(self, rows: Columns) -> Integers:
        """Return for each row the place of its version in `versions`, or -1."""
        chosen = np.full(len(rows), -1, np.int32)
        components = rows.components()
        first = first_of_each(components)
        sensors, devices = components[first] & 0xFFFFFFFF, components[first] >> 32
        component = np.cumsum(first) - 1  # of each row: the place of its component among all
        # The last to speak is the nearest.
        self._choose_of(sensors, 0, self._first_of_kits, component, rows.times, chosen)
        if self._first_of_kits < self._first_of_devices:
            kits = np.array([self._kits.get(device, 0) for device in devices.tolist()], np.int64)
            wanted = np.where(kits, kits << 32 | sensors, -1)
            self._choose_of(wanted, self._first_of_kits, self._first_of_devices, component, rows.times, chosen)
        self._choose_of(components[first], self._first_of_devices, len(self.versions), component, rows.times, chosen)
        return chosen

    def _choose_of(
        self, wanted: Times, first: int, last: int, component: Integers, times: Times, chosen: Integers
    ) -> None:
        """Choose among the versions of one scope; `wanted` are the components in it that rows are of."""
        known = self._components[first:last]
        place = first + np.searchsorted(known, wanted)
        end = first + np.searchsorted(known, wanted, side="right")
        while (going := place < end).any():
            here = np.flatnonzero(going[component])
            versions = place[component[here]]
            holds = (times[here] >= self._starts[versions]) & (times[here] < self._ends[versions])
            chosen[here[holds]] = versions[holds]
            place += going

    def reaches(self, earliest_us: int, latest_us: int) -> dict[tuple[int, frozenset[str]], set[_Scope]]:
        """Return whose values need which other components between two times: by sensor and keys, in which scopes."""
        reaches: dict[tuple[int, frozenset[str]], set[_Scope]] = {}
        for version in self._crossing:
            if version.start_us <= latest_us and version.end_us > earliest_us:
                reach = reaches.setdefault((version.sensor_id, version.equation.inputs), set())
                reach.add((version.kit_id, version.device_id))
        return reaches

    def covered(self, reach: set[_Scope], device_ids: Integers) -> Integers:
        """Return which of these devices are in one of the scopes."""
        if (None, None) in reach:
            return device_ids
        here = [(None, each) in reach or (self._kits.get(each), None) in reach for each in device_ids.tolist()]
        return device_ids[np.array(here, np.bool_)]

    def sensors(self, device_ids: Integers, key: str) -> Integers:
        """Return the sensor that a key stands for on each of these devices, 0 where it stands for none."""
        devices, place = np.unique(device_ids, return_inverse=True)
        sensors = [self.sensors_of_keys.get((device, key), 0) for device in devices.tolist()]
        return np.array(sensors, np.int32)[place]


class Readings:
    """Finds rows, which are in the order of their keys, and their raws; indexes them once that is asked for."""

    def __init__(self, rows: Columns) -> None:
        self._rows = rows

    @cached_property
    def devices(self) -> Integers:
        """The devices of the rows, in order."""
        device_ids = self._rows.device_ids
        return device_ids[first_of_each(device_ids)]

    def of(self, device_ids: Integers, sensor_ids: Integers) -> Mask:
        """Return which rows are of one of these components."""
        components, component = self._components
        wanted: Mask = np.isin(components, device_ids.astype(np.int64) << 32 | sensor_ids)[component]
        return wanted

    def raws(self, device_ids: Integers, sensor_ids: Integers, times: Times) -> Floats:
        """Return what these components sent at these times, NaN where nothing is known of it."""
        if not len(self._rows):
            return np.full(len(times), np.nan)
        components, (known_times, numbers) = self._components[0], self._times
        component, is_component = _place(components, device_ids.astype(np.int64) << 32 | sensor_ids)
        time, is_time = _place(known_times, times)
        place, is_reading = _place(numbers, component * len(known_times) + time)
        return np.where(is_component & is_time & is_reading, self._rows.raws[place], np.nan)

    @cached_property
    def _components(self) -> tuple[Times, Times]:
        """The components of the rows, and which of these each row is of."""
        components = self._rows.components()
        first = first_of_each(components)
        return components[first], np.cumsum(first) - 1

    @cached_property
    def _times(self) -> tuple[Times, Times]:
        """The times of the rows, and the rows' numbers, which rise as their keys do."""
        times, time = np.unique(self._rows.times, return_inverse=True)
        return times, self._components[1] * len(times) + time


def _place(known: Times, wanted: Times) -> tuple[Times, Mask]:
    """Return where the wanted numbers stand among known ones, which rise, and whether they do."""
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return place, known[place] == wanted
