"""Compute values anew from raw: slice after slice, while readings come in and people look.

A slice is one transaction: it reads raws, computes, writes values, marks the rollups of their days, moves the device's
versions and notes how far the redo has come. So every answer is right at every moment, and a worker that dies loses
its slice and nothing else: whoever takes the redo next goes on where the last one was committed.
"""

import logging
import time
from datetime import timedelta

import numpy as np
import psycopg

from app.calibrations import compute
from app.config import Config
from ingestor.columns import Columns
from ingestor.times import from_us, to_us
from ingestor.versions import look_up
from sql import DictConnection, Row, connect, queries

log = logging.getLogger(__name__)

SLICE = 20_000  # datapoints: some 0.2 s, for which late readings of this component may have to wait
LEASE_S = 10.0  # much longer than a slice; a dead worker's redo waits so long
_STINT_S = 50.0  # then other jobs have their turn, until the next minute
_TRIES = 5  # of a slice that a deadlock with a writer undid
_DAY_US = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)


class _TakenError(Exception):
    """The redo was cancelled, or another worker goes on with it."""


def work() -> None:
    """Work on what redos there are that nobody works on, the oldest first, for a minute at most.

    It comes back every minute, and goes on with what is left; whoever asks for a redo enqueues it once more.
    """
    deadline = time.monotonic() + _STINT_S
    with connect(Config.from_env().database_url) as conn:
        while time.monotonic() < deadline and (redo := _take(conn)) is not None:
            _work_on(conn, redo, deadline)


def _take(conn: DictConnection) -> Row | None:
    try:
        redo: Row | None = queries.take_recalibration(conn, lease_s=LEASE_S)
    except psycopg.errors.UniqueViolation:
        return None  # a redo of the same component has just been taken by another worker
    return redo


def _work_on(conn: DictConnection, redo: Row, deadline: float) -> None:
    try:
        while (advanced := _try_slice(conn, redo)) is not None:
            redo = advanced
            if time.monotonic() > deadline:
                queries.release_recalibration(conn, id=redo["id"])
                return
        queries.end_recalibration(conn, id=redo["id"], state="done", error=None)
    except _TakenError:
        log.info("recalibration left", extra={"recalibration": redo["id"]})
    except psycopg.OperationalError:
        raise  # the database is away; the lease runs out, and a worker goes on
    except Exception as error:
        log.exception("recalibration failed", extra={"recalibration": redo["id"]})
        queries.end_recalibration(conn, id=redo["id"], state="failed", error=f"{type(error).__name__}: {error}")
    else:
        log.info("recalibrated", extra={"recalibration": redo["id"], "device_id": redo["device_id"]})


def _try_slice(conn: DictConnection, redo: Row) -> Row | None:
    """Do a slice, again where a writer of the same rows was in its way."""
    for _ in range(_TRIES - 1):
        try:
            return _do_slice(conn, redo)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            continue
    return _do_slice(conn, redo)


def _do_slice(conn: DictConnection, redo: Row) -> Row | None:
    """Compute the next datapoints of a redo and return how it stands, or None where nothing is left.

    Raises _TakenError.
    """
    component = {"device_id": redo["device_id"], "sensor_id": redo["sensor_id"]}
    with conn.transaction():
        horizon_us = to_us(queries.hold_rollup_horizon(conn))
        raws = queries.slice_raws(conn, **component, start=redo["done_until"], before=redo["range_end"], most=SLICE)
        times = raws["time"]
        if times is None:
            return None
        device_ids, sensor_ids = (np.full(len(times), component[key], np.int32) for key in component)
        calibration = look_up(conn, Columns.of_raw(device_ids, sensor_ids, times, raws["raw"]))
        if calibration.sensors_of_keys:
            queries.lock_readings(conn, device_ids=device_ids[:1])
        rows = compute(conn, calibration, **component, times=times, raws=raws["raw"])
        first, last = from_us(int(times[0])), from_us(int(times[-1]))
        queries.allow_any_decompression(conn)
        changed = queries.update_values(
            conn,
            **component,
            times=times,
            raws=rows.raws,
            values=rows.values,
            calibration_ids=rows.calibration_ids,
            first=first,
            last=last,
        )
        if changed:
            late_days = np.unique(times[times < horizon_us] // _DAY_US)
            queries.touch_devices(
                conn,
                device_ids=device_ids[:1],
                first_times=times[:1],
                times=times[-1:],
                lates=np.array([len(late_days) > 0], np.int32),
            )
            queries.follow_latest(conn, **component)
            queries.mark_late_days(
                conn, device_ids=device_ids[: len(late_days)], days=late_days.astype("datetime64[D]").tolist()
            )
        advanced: Row | None = queries.advance_recalibration(
            conn,
            id=redo["id"],
            expected=redo["done_until"],
            done_until=last + _MICROSECOND,
            first=first,
            computed=len(times),
            changed=changed,
            lease_s=LEASE_S,
        )
        if advanced is None:
            raise _TakenError
    return advanced
