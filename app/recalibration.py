"""One slice of a redo: some thousand datapoints of a component, computed anew in one transaction."""

import logging
from datetime import timedelta

import numpy as np
import psycopg

from app.calibrations import compute
from ingestor.columns import Columns, Mask
from ingestor.times import from_us, to_us
from ingestor.versions import Versions
from ingestor.writer import COPY, send
from sql import DictConnection, Row, queries

log = logging.getLogger(__name__)

SLICE = 30_000  # datapoints: some 0.2 s, for which readings of this device wait
_DAY_US = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)


class TakenError(Exception):
    """The redo was cancelled, or another worker goes on with it."""


def do_slice(conn: DictConnection, redo: Row, lease_s: float, versions: Versions) -> Row | None:
    """Compute the next datapoints of a redo and return how it stands, or None where nothing is left.

    The lock keeps writers of this device away until the commit: what is read here is what is written over. `versions`
    are those that earlier slices looked up.
    Raises TakenError.
    """
    component = {"device_id": redo["device_id"], "sensor_id": redo["sensor_id"]}
    device_ids = np.array([redo["device_id"]], np.int32)
    with conn.transaction():
        held = queries.hold_rollup_horizon(conn)
        queries.lock_readings(conn, device_ids=device_ids)
        where = {**component, "start": redo["done_until"], "before": redo["range_end"]}
        found = queries.slice_datapoints(conn, **where, most=SLICE)
        if found["times"] is None:
            return None
        alike = np.full((2, len(found["times"])), [[redo["device_id"]], [redo["sensor_id"]]], np.int32)
        old = Columns(*alike, **found)
        calibration = versions.look_up(conn, old, held["calibrations"])
        new = compute(conn, calibration, **component, times=old.times, raws=old.raws)
        changed = _differs(old, new)
        if changed.any():
            hlc = queries.next_hlc(conn)
            written = _store(conn, component, new, changed, hlc)
            if hlc is not None:
                send(conn, written, hlc)
            late = np.unique(old.times[changed & (old.times < to_us(held["horizon"]))] // _DAY_US)
            lates = np.array([len(late) > 0], np.int32)
            heard = {"first_times": old.times[:1], "times": old.times[-1:]}
            queries.touch_devices(conn, device_ids=device_ids, **heard, lates=lates)
            queries.follow_latest(conn, **component)
            days = late.astype("datetime64[D]").tolist()
            queries.mark_late_days(conn, device_ids=device_ids.repeat(len(days)), days=days)
        advanced: Row | None = queries.advance_recalibration(
            conn,
            id=redo["id"],
            expected=redo["done_until"],
            done_until=from_us(int(old.times[-1])) + _MICROSECOND,
            first=from_us(int(old.times[0])),
            computed=len(old),
            changed=int(changed.sum()),
            lease_s=lease_s,
        )
        if advanced is None:
            raise TakenError
    return advanced


def _differs(old: Columns, new: Columns) -> Mask:
    same = (old.values == new.values) | (np.isnan(old.values) & np.isnan(new.values))
    differs: Mask = ~same | (old.calibration_ids != new.calibration_ids)
    return differs


def _store(conn: DictConnection, component: Row, rows: Columns, changed: Mask, hlc: int | None) -> Columns:
    """Write the rows that have changed, and return what was written.

    In the columnstore, where a row that is updated is first written out as it is and then once more, it costs less to
    drop them all where most have, and to write them again by COPY. In the row store an update mostly finds room on the
    row's own page, and the index stays as it is.
    """
    span = {"first": from_us(int(rows.times[0])), "last": from_us(int(rows.times[-1]))}
    within = {**component, **span}
    queries.allow_any_decompression(conn)
    anew = 2 * changed.sum() > len(rows) and queries.in_columnstore(conn, **span)
    if anew and _replace(conn, within, rows, hlc):
        return rows
    rows = rows.take(changed)
    values = {"times": rows.times, "values": rows.values, "calibration_ids": rows.calibration_ids}
    queries.update_values(conn, **within, **values, hlc=hlc)
    return rows


def _replace(conn: DictConnection, within: Row, rows: Columns, hlc: int | None) -> bool:
    """Put rows in the place of all that is stored between their first and last; False: nothing was done."""
    try:
        with conn.transaction(), conn.cursor() as cursor:
            if queries.delete_range(conn, **within) != len(rows):
                raise psycopg.Rollback
            with cursor.copy(COPY) as copy:
                for part in rows.binary(hlc):
                    copy.write(part)
            return True
    except psycopg.errors.FeatureNotSupported:  # the embedded database takes no COPY FROM STDIN
        pass
    return False
