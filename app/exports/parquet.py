"""Write Parquet: typed, sorted, with statistics, so that DuckDB, pandas and R read only what they need."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.exports.columns import Column, Component, Device
from app.exports.question import Question
from app.exports.read import Matrix
from sql.arrays import Times

_CELLS_A_GROUP = 2_000_000  # numbers a row group: some 16 MB before it is encoded
_TEXTS = pa.dictionary(pa.int32(), pa.string())


class ParquetFile:
    """A file that is being written; leave its `with` block to complete it."""

    def __init__(self, file: BinaryIO, question: Question, columns: Sequence[Column], several: bool) -> None:
        self.rows = 0
        time = pa.field("time", pa.timestamp("us", tz=str(question.zone)), nullable=False)
        device = [pa.field("device_id", pa.int32(), nullable=False), pa.field("device", _TEXTS, nullable=False)]
        if question.layout == "wide":
            numbers = [pa.field(c.title, pa.float64(), metadata={"sensor_id": str(c.sensor_id)}) for c in columns]
            fields = [time, *(device if several else []), *numbers]
            order = ["device_id", "time"] if several else ["time"]
        else:
            sensor = [pa.field("sensor_id", pa.int32(), nullable=False)]
            texts = [pa.field(name, _TEXTS) for name in ("sensor", "measurement", "unit")]
            fields = [time, *device, *sensor, *texts, *(pa.field(kind, pa.float64()) for kind in question.kinds)]
            order = ["device_id", "sensor_id", "time"]
        self._schema = pa.schema(fields)
        self._group = max(1, _CELLS_A_GROUP // len(fields))
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._writer = pq.ParquetWriter(
            file,
            self._schema,
            compression="zstd",
            use_dictionary=[field.name for field in fields if field.type == _TEXTS],
            sorting_columns=pq.SortingColumn.from_ordering(self._schema, [(name, "ascending") for name in order]),
        )

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and self._held:
            self._write_groups(everything=True)
        self._writer.close()

    def write(self, device: Device, component: Component | None, times: Times, values: Matrix) -> None:
        """Append rows; `component`: the one they are of, in the long layout."""
        fixed: dict[str, Any] = {"device_id": device.id, "device": device.name}
        if component is not None:
            fixed |= {name: getattr(component, name) for name in ("sensor_id", "sensor", "measurement", "unit")}
        numbers = iter(np.asfortranarray(values).T)
        arrays: list[pa.Array] = []
        for field in self._schema:
            if field.name == "time" and not arrays:
                arrays.append(pa.array(times, pa.int64()).cast(field.type))
            elif field.type == pa.float64():
                arrays.append(pa.array(next(numbers), from_pandas=True))
            else:
                arrays.append(_repeated(fixed[field.name], len(times), field.type))
        self._held.append(pa.record_batch(arrays, schema=self._schema))
        self._held_rows += len(times)
        self.rows += len(times)
        if self._held_rows >= self._group:
            self._write_groups()

    def _write_groups(self, *, everything: bool = False) -> None:
        """Write row groups of one size, whatever the size of the slices: the same data give the same file."""
        table = pa.Table.from_batches(self._held, self._schema).unify_dictionaries()
        whole = table.num_rows if everything else table.num_rows // self._group * self._group
        self._writer.write_table(table.slice(0, whole), row_group_size=self._group)
        self._held = table.slice(whole).to_batches()
        self._held_rows = table.num_rows - whole


def _repeated(value: Any, rows: int, kind: pa.DataType) -> pa.Array:
    if kind != _TEXTS:
        return pa.array(np.full(rows, value, np.int32), kind)
    indices = pa.nulls(rows, pa.int32()) if value is None else pa.array(np.zeros(rows, np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array([] if value is None else [value], pa.string()))
