"""Add a version of a calibration and have history follow it; compute what one would make of stored raws."""

import logging
from datetime import datetime

import numpy as np
import redis

from app.errors import invalid
from app.jobs.queue import enqueue
from ingestor.calibration import Calibration
from ingestor.columns import Columns, Floats, Times
from ingestor.equation import Equation, EquationError, compile_equation
from ingestor.times import from_us
from sql import DictConnection, queries

log = logging.getLogger(__name__)


def read_equation(text: str) -> Equation:
    """Return a compiled equation; answer 422 with the place and the reason where it is none."""
    try:
        return compile_equation(text)
    except EquationError as error:
        invalid(422, equation=str(error))


def add_calibration(
    conn: DictConnection,
    *,
    sensor_id: int,
    equation: str | None,
    valid_from: datetime | None = None,
    note: str = "",
    author_id: int | None,
    kit_id: int | None = None,
    device_id: int | None = None,
) -> tuple[int, int]:
    """Add a version for a device's component, a kit's, or a sensor, and ask for the redo of what it holds for.

    Returns its id and the number of redos; without `valid_from` it holds from now on. Call it in a transaction, and
    begin_redos after its commit. Answers 422 for what is no equation, or uses components that are not there.
    """
    compiled = None if equation is None else read_equation(equation)
    if compiled is not None:
        check_inputs(conn, compiled, kit_id=kit_id, device_id=device_id)
    queries.hold_writers(conn)
    calibration_id: int = queries.insert_calibration(
        conn,
        sensor_id=sensor_id,
        kit_id=kit_id,
        device_id=device_id,
        valid_from=valid_from,
        equation=equation,
        inputs=sorted(compiled.inputs) if compiled else [],
        note=note,
        author_id=author_id,
    )
    return calibration_id, queries.insert_recalibrations_of(conn, calibration_id=calibration_id)


def begin_redos() -> None:
    """Let a worker begin what add_calibration asked for."""
    try:
        enqueue("recalibrate.work")
    except redis.RedisError as error:  # the minutely job will find it
        log.warning("redo not enqueued", extra={"error": str(error)})


def check_inputs(
    conn: DictConnection, equation: Equation, *, kit_id: int | None = None, device_id: int | None = None
) -> None:
    """Answer 422 where an equation uses components that are not in its scope."""
    known: list[str] = queries.keys_in_scope(conn, kit_id=kit_id, device_id=device_id) or []
    unknown = sorted(equation.inputs - set(known))
    if unknown:
        where = "this device" if device_id is not None else "this kit" if kit_id is not None else "the catalogue"
        keys = f"; it has {', '.join(known[:40])}" if known else ""
        invalid(422, equation=f"{where} has no component with the key {unknown[0]!r}{keys}")


def compute(
    conn: DictConnection, calibration: Calibration, *, device_id: int, sensor_id: int, times: Times, raws: Floats
) -> Columns:
    """Return datapoints of one component, given in order of time, with the values that a calibration makes of them.

    What it needs of the device's other components is read from the database.
    """
    rows = Columns.of_raw(np.full(len(times), device_id), np.full(len(times), sensor_id), times, raws)
    inputs = sorted(set(calibration.sensors_of_keys.values()) - {sensor_id})
    if inputs and len(times):
        first, last = from_us(int(times[0])), from_us(int(times[-1]))
        for row in queries.slice_inputs(conn, device_id=device_id, sensor_ids=inputs, first=first, last=last):
            alike = np.full(len(row["time"]), row["sensor_id"])
            rows = Columns.of_raw(np.full_like(alike, device_id), alike, row["time"], row["raw"]).with_(rows)
    computed = calibration.apply(rows)
    return computed.take(computed.sensor_ids == sensor_id)
