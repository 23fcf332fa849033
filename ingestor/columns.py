"""Datapoints as columns, and the bytes in which PostgreSQL takes them: no Python object for each value. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from sql.arrays import POSTGRES_EPOCH_US

Integers = np.ndarray[Any, np.dtype[np.int32]]
Times = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Columns:
    """One row a datapoint."""

    device_ids: Integers
    sensor_ids: Integers
    times: Times  # microseconds since 1970-01-01 UTC
    raws: Floats
    values: Floats  # NaN stands for null
    calibration_ids: Integers  # 0 stands for null: the value is the raw one

    @classmethod
    def of_raw(cls, device_ids: Any, sensor_ids: Any, times: Any, raws: Any) -> "Columns":
        """Datapoints as received: the values are the raw ones."""
        raw = np.asarray(raws, np.float64)
        return cls(
            np.asarray(device_ids, np.int32),
            np.asarray(sensor_ids, np.int32),
            np.asarray(times, np.int64),
            raw,
            raw,
            np.zeros(len(raw), np.int32),
        )

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: Any) -> "Columns":
        """Return these rows, by their numbers or a mask."""
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def with_(self, other: "Columns") -> "Columns":
        """Return both's rows in the order of their keys; where a key is in both, the other's row."""
        both = Columns(*(np.concatenate((getattr(self, f.name), getattr(other, f.name))) for f in fields(self)))
        return both.take(both.order())

    def order(self) -> Any:
        """Return the rows' numbers in the order of their keys, of rows with one key only the last: it wins.

        Writers that go by this order cannot deadlock, and a key that comes twice would fail the whole statement.
        """
        order = np.lexsort((self.times, self.sensor_ids, self.device_ids))  # stable
        if len(order) < 2:
            return order
        later, earlier = order[1:], order[:-1]
        differs = (
            (self.times[later] != self.times[earlier])
            | (self.sensor_ids[later] != self.sensor_ids[earlier])
            | (self.device_ids[later] != self.device_ids[earlier])
        )
        return order[np.append(differs, True)]

    def components(self) -> Times:
        """Return one number for each row's (device, sensor)."""
        pairs: Times = (self.device_ids.astype(np.int64) << 32) | self.sensor_ids
        return pairs

    def rows_of(self, device_ids: Integers, sensor_ids: Integers, times: Times) -> Mask:
        """Return which rows have one of these keys, every one of which is a key here."""
        pairs, known_times = np.unique(self.components()), np.unique(self.times)

        def numbers(of_pairs: Times, of_times: Times) -> Times:
            number: Times = np.searchsorted(pairs, of_pairs) * len(known_times) + np.searchsorted(known_times, of_times)
            return number

        wanted = numbers((device_ids.astype(np.int64) << 32) | sensor_ids, times)
        return np.isin(numbers(self.components(), self.times), wanted)

    def binary(self, hlc: int | None = None) -> Iterator[bytes | memoryview]:
        """Return the rows in PostgreSQL's binary COPY format, the clock of their write with them if there is one.

        Layout: the documentation of COPY, "Binary Format". A null has a length and no bytes, so rows of the same nulls
        go together. Nothing is copied once it is in its place: memory that is new to the process is what costs here.
        """
        yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
        nulls = np.isnan(self.values) * 2 + (self.calibration_ids == 0)
        for pattern in np.unique(nulls):
            alike = nulls == pattern
            rows = self if alike.all() else self.take(alike)
            yield rows._binary(bool(pattern & 2), bool(pattern & 1), hlc)
        yield b"\xff\xff"

    def _binary(self, null_values: bool, null_calibrations: bool, hlc: int | None) -> memoryview:
        columns: list[tuple[str, str, Any]] = [
            ("device_id", ">i4", self.device_ids),
            ("sensor_id", ">i4", self.sensor_ids),
            ("time", ">i8", self.times - POSTGRES_EPOCH_US),
            ("raw", ">f8", self.raws),
            ("value", ">f8", None if null_values else self.values),
            ("calibration_id", ">i4", None if null_calibrations else self.calibration_ids),
            ("hlc", ">i8", hlc),
        ]
        layout = [("columns", ">i2")]
        for name, kind, column in columns:
            layout.append((f"{name} size", ">i4"))
            if column is not None:
                layout.append((name, kind))
        row = np.zeros(1, layout)
        row["columns"] = len(columns)
        for name, kind, column in columns:
            row[f"{name} size"] = -1 if column is None else np.dtype(kind).itemsize
        rows = np.repeat(row, len(self))
        for name, _, column in columns:
            if column is not None:
                rows[name] = column
        return rows.view(np.uint8).data


def first_of_each(ordered: Any) -> Mask:
    """Return of numbers in order, rising or falling, which are not the one before."""
    first: Mask = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return first
