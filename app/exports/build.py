"""Make the file of an export, from the database to an open file, in flat memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol, Self

import numpy as np

from app.exports.columns import Column, Component, Device
from app.exports.csv import CsvFile
from app.exports.question import Question
from app.exports.read import Matrix, extent_of, read_slices
from sql import Pool
from sql.arrays import Times


class DataFile(Protocol):
    """A file of either format that is being written."""

    rows: int

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def write(self, device: Device, component: Component | None, times: Times, values: Matrix) -> None: ...


class Built(NamedTuple):
    """What there is to say of a file that is written."""

    rows: int
    calibration_ids: dict[tuple[int, int], set[int]]  # by device and sensor: the versions that made its values


class _Series(NamedTuple):
    """What is read and written from its first to its last reading before anything else is."""

    device: Device
    component: Component | None  # in the long layout
    sensor_ids: list[int]


def build(
    pool: Pool,
    question: Question,
    devices: Sequence[Device],
    components: Sequence[Component],
    columns: Sequence[Column],
    file: BinaryIO,
    progress: Callable[[float], None],
) -> Built:
    """Write the file; `progress` is told the share that is done, 0 to 1.

    The rows are sorted by device and time, in the long layout by device, sensor and time.
    """
    many = list(_series(devices, components, question))
    calibration_ids: dict[tuple[int, int], set[int]] = {}
    with _open(file, question, columns, several=len(devices) > 1) as data:
        for number, series in enumerate(many):
            extent = extent_of(pool, series.device.id, series.sensor_ids, question.start_us, question.end_us)
            if extent is None:
                continue
            for part in read_slices(pool, series.device.id, series.sensor_ids, extent, question):
                for sensor_id, ids in part.calibration_ids.items():
                    calibration_ids.setdefault((series.device.id, sensor_id), set()).update(ids)
                values = part.values
                if series.component is None:
                    values = _placed(values, series.sensor_ids, columns, question)
                data.write(series.device, series.component, part.times, values)
                share = (part.end_us - extent.start_us) / (extent.end_us - extent.start_us)
                progress((number + share) / len(many))
    return Built(data.rows, calibration_ids)


def _open(file: BinaryIO, question: Question, columns: Sequence[Column], *, several: bool) -> DataFile:
    if question.format == "csv":
        return CsvFile(file, question, columns, several)
    from app.exports.parquet import ParquetFile  # pyarrow comes with an extra

    return ParquetFile(file, question, columns, several)


def _series(devices: Sequence[Device], components: Sequence[Component], question: Question) -> Iterator[_Series]:
    for device in devices:
        own = [component for component in components if component.device_id == device.id]
        if question.layout == "long":
            yield from (_Series(device, component, [component.sensor_id]) for component in own)
        elif own:
            yield _Series(device, None, [component.sensor_id for component in own])


def _placed(values: Matrix, sensor_ids: Sequence[int], columns: Sequence[Column], question: Question) -> Matrix:
    """Put a device's columns where the file has them; it may have more than this device."""
    if values.shape[1] == len(columns):
        return values
    places = {(column.sensor_id, column.kind): place for place, column in enumerate(columns)}
    placed = np.full((len(values), len(columns)), np.nan)
    placed[:, [places[sensor_id, kind] for sensor_id in sensor_ids for kind in question.kinds]] = values
    return placed
