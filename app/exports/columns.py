"""Which columns a file has, in which order and under which names. Pure.

In the wide layout each component is a column, or several; their order is that of the sensors' ids, so that files of
the same kit have the same columns. Names are made for people, and unique.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from app.exports.question import Question
from sql import Row


class Device(NamedTuple):
    """What a file says of a device."""

    id: int
    name: str


class Component(NamedTuple):
    """One component: what its column, or its rows, say of it."""

    device_id: int
    sensor_id: int
    key: str
    sensor: str
    measurement: str | None
    unit: str | None

    @classmethod
    def of(cls, row: Row) -> "Component":
        return cls(*(row[name] for name in cls._fields))

    @property
    def title(self) -> str:
        """`Air Temperature in ºC (Sensirion SHT31 - Temperature)`."""
        title = self.measurement or self.sensor
        if self.unit:
            title += f" in {self.unit}"
        return f"{title} ({self.sensor})" if self.measurement else title


class Column(NamedTuple):
    """A column of numbers in the wide layout."""

    title: str
    sensor_id: int
    kind: str  # value, raw, avg, …


def chosen(components: Sequence[Component], question: Question) -> list[Component]:
    """Return the components that were asked for."""
    wanted = set(question.sensors)
    return [c for c in components if not wanted or c.sensor_id in wanted or c.key in wanted]


def wide_columns(components: Sequence[Component], question: Question) -> list[Column]:
    """Return a column a sensor and kind; devices that share a sensor share its column."""
    sensors = {component.sensor_id: component for component in sorted(components, key=lambda c: c.sensor_id)}
    counts = Counter(component.title for component in sensors.values())
    columns = []
    for sensor_id, component in sensors.items():
        title = component.title if counts[component.title] == 1 else f"{component.title} #{sensor_id}"
        columns += [Column(title if kind == "value" else f"{title} {kind}", sensor_id, kind) for kind in question.kinds]
    return columns
