"""Readings that come in by the pipeline of both doors, in one batch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingestor.batch import Batch
from ingestor.known import EARLIEST, Known
from ingestor.times import to_us
from ingestor.writer import Ledger, Writer
from sql import DictConnection


def receive(
    conn: DictConnection, device_id: int, known: Known | None = None, **sent: Sequence[tuple[datetime, float]]
) -> Ledger:
    """Store what a device's sensors sent, each given as s55=[(time, raw), …], by a writer that knows this much."""
    known = known or Known()
    known.refresh(conn)
    points = [(int(name[1:]), to_us(time), raw) for name, points in sent.items() for time, raw in points]
    sensor_ids, times, raws = (list(column) for column in zip(*points, strict=True))
    batch = Batch(EARLIEST, [device_id] * len(points), times, [1] * len(points), sensor_ids, raws)
    return Writer(known).write(conn, batch).ledger


def stored(conn: DictConnection, device_id: int, sensor_id: int) -> list[tuple[Any, ...]]:
    """Return time, raw, value and calibration of each of a component's datapoints, the oldest first."""
    rows = conn.execute(
        "SELECT time, raw, value, calibration_id FROM datapoints WHERE device_id = %s AND sensor_id = %s ORDER BY time",
        [device_id, sensor_id],
    )
    return [tuple(row.values()) for row in rows]
