"""Write a batch to the database: all of it in one transaction, or none."""

import logging
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import datetime
from operator import add
from typing import Any

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from ingestor.batch import Batch
from ingestor.columns import Columns, Mask, first_of_each
from ingestor.keys import fold, pack
from ingestor.known import Known
from ingestor.times import to_us
from ingestor.versions import Versions, calibrate
from sql import DictConnection, queries

log = logging.getLogger(__name__)

COPY = "COPY datapoints (device_id, sensor_id, time, raw, value, calibration_id, hlc) FROM STDIN (FORMAT binary)"
_PAUSE_S = 10.0  # without COPY after a batch that held something stored before: more such are coming
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of a batch, in datapoints: received = stored + duplicate + quarantined + rejected."""

    received: int = 0
    stored: int = 0  # new, or changed the value of the same component and time
    duplicate: int = 0  # said what the database held already, or was said twice in the batch
    quarantined: int = 0  # a message that could not be read at all counts as one
    rejected: int = 0  # messages of strangers beyond what quarantine takes of them

    def __add__(self, other: "Ledger") -> "Ledger":
        return Ledger(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that is committed."""

    ledger: Ledger
    stored: Mask  # of the batch's datapoints, in the order in which they came


class Writer:
    """Writes batches over one connection at a time, with what it learned from earlier ones.

    A batch of nothing but new rows, as nearly all are, goes straight into the hypertable by binary COPY. COPY knows no
    ON CONFLICT: where a row is there already it is undone, and the batch goes the way of all others, INSERT … SELECT
    unnest(…) ON CONFLICT. The embedded database has that one alone.
    """

    def __init__(self, known: Known, *, by_copy: bool = True, meanwhile: Callable[[], None] = lambda: None) -> None:
        """`meanwhile` is called when a batch's rows are ready, and the database is about to have the most to do."""
        self._known = known
        self._meanwhile = meanwhile
        self._copy_from = 0.0 if by_copy else float("inf")  # on the monotonic clock

    def write(self, conn: DictConnection, batch: Batch) -> Written:
        """Write the batch and return what became of it, once that is committed.

        Raises psycopg.OperationalError when the database is away, psycopg.Error when it refuses something in the batch.
        """
        received = batch.columns()
        stored = np.zeros(len(received), np.bool_)
        made: set[tuple[int, int]] = set()
        # Known again once this has committed: what is looked up in here may go with it.
        versions, self._known.versions = self._known.versions, Versions()
        with conn.transaction():
            if len(received):
                # Where this is, is late: it stays until we commit.
                held = queries.hold_rollup_horizon(conn)
                order = received.order()
                rows = received.take(order)
                components = rows.components()
                components = components[first_of_each(components)]
                pairs = zip((components >> 32).tolist(), (components & 0xFFFFFFFF).tolist(), strict=True)
                made = self._known.make_components(conn, pairs)
                rows, followers = calibrate(conn, rows, versions, held)
                # Not before: calibrate waits for a redo of the same devices, and what that wrote must not look newer.
                hlc = queries.next_hlc(conn) if self._known.has_sites else None
                changed = self._store(conn, rows, hlc)
                if batch.hardware_infos or len(followers):  # more than one statement writes to devices
                    queries.hold_devices(conn, device_ids=[*np.unique(rows.device_ids).tolist(), *batch.hardware_infos])
                if changed.any():
                    _settle(conn, rows.take(changed), held["horizon"], hlc)
                if len(followers) and (changed_followers := _upsert(conn, followers, hlc)).any():
                    _settle(conn, followers.take(changed_followers), held["horizon"], hlc)
                stored[order] = changed
            _keep_the_rest(conn, batch)
        self._known.components |= made
        self._known.versions = versions
        count, quarantined = int(stored.sum()), len(batch.quarantined)
        total = len(received) + quarantined + batch.rejected
        return Written(Ledger(total, count, len(received) - count, quarantined, batch.rejected), stored)

    def _store(self, conn: DictConnection, rows: Columns, hlc: int | None) -> Mask:
        """Store rows in the order of their keys and return which of them changed something."""
        self._meanwhile()
        if time.monotonic() >= self._copy_from:
            try:
                with conn.transaction(), conn.cursor() as cursor, cursor.copy(COPY) as copy:
                    for part in rows.binary(hlc):
                        copy.write(part)
                return np.ones(len(rows), np.bool_)
            except psycopg.errors.UniqueViolation:
                self._copy_from = time.monotonic() + _PAUSE_S
            except psycopg.errors.FeatureNotSupported:
                log.info("this database takes no COPY FROM STDIN: rows go by INSERT")
                self._copy_from = float("inf")
        return _upsert(conn, rows, hlc)


def _upsert(conn: DictConnection, rows: Columns, hlc: int | None) -> Mask:
    """Store rows that may be there already and return which of them changed something."""
    keys = queries.store_datapoints(
        conn,
        device_ids=rows.device_ids,
        sensor_ids=rows.sensor_ids,
        times=rows.times,
        raws=rows.raws,
        values=rows.values,
        calibration_ids=rows.calibration_ids,
        hlc=hlc,
    )
    if len(keys["times"]) in (0, len(rows)):
        return np.full(len(rows), len(keys["times"]) > 0)
    return rows.rows_of(keys["device_ids"], keys["sensor_ids"], keys["times"])


def _settle(conn: DictConnection, rows: Columns, horizon: datetime, hlc: int | None) -> None:
    """Write what follows from changed rows, which are in the order of their keys."""
    late = rows.times < to_us(horizon)
    first = first_of_each(rows.device_ids).nonzero()[0]
    queries.touch_devices(
        conn,
        device_ids=rows.device_ids[first],
        first_times=np.minimum.reduceat(rows.times, first),
        times=np.maximum.reduceat(rows.times, first),
        lates=np.maximum.reduceat(late, first).astype(np.int32),
    )
    components = rows.components()
    newest = np.append(components[1:] != components[:-1], True).nonzero()[0]
    previous = np.maximum(newest - 1, 0)
    previous = np.where(components[previous] == components[newest], previous, newest)
    queries.move_latest_values(
        conn,
        device_ids=rows.device_ids[newest],
        sensor_ids=rows.sensor_ids[newest],
        times=rows.times[newest],
        raws=rows.raws[newest],
        values=rows.values[newest],
        previous_times=rows.times[previous],
        previous_values=rows.values[previous],
    )
    if late.any():
        days = np.unique((rows.device_ids[late].astype(np.int64) << 32) | (rows.times[late] // _DAY_US))
        queries.mark_late_days(
            conn,
            device_ids=(days >> 32).astype(np.int32),
            days=(days & 0xFFFFFFFF).astype("datetime64[D]").tolist(),
        )
    keys = pack(rows.device_ids, rows.sensor_ids, rows.times)
    queries.insert_arrival(conn, device_ids=rows.device_ids[first], keys=keys, datapoints=len(rows), horizon=horizon)
    if hlc is not None:
        send(conn, rows, hlc, keys)


def send(conn: DictConnection, rows: Columns, hlc: int, keys: bytes | None = None) -> None:
    """Let the other sites have rows that this transaction has stored; with their packed keys where they are new."""
    calibrated = rows.calibration_ids.any()
    queries.send_datapoints(
        conn,
        hlc=hlc,
        **fold(rows.device_ids, rows.sensor_ids, rows.times)._asdict(),
        raws=rows.raws,
        values=rows.values if calibrated else None,
        calibration_ids=rows.calibration_ids if calibrated else None,
        keys=keys,
    )


def _keep_the_rest(conn: DictConnection, batch: Batch) -> None:
    if batch.quarantined:
        columns: list[list[Any]] = list(map(list, zip(*batch.quarantined, strict=True)))
        device_ids, hashes, topics, payloads, reasons, details, _ = columns
        queries.insert_quarantine(
            conn,
            device_ids=device_ids,
            token_hashes=hashes,
            topics=topics,
            payloads=payloads,
            reasons=[str(reason) for reason in reasons],
            details=details,
        )
    if batch.used_tokens:
        queries.note_token_use(conn, hashes=batch.used_tokens)
    if batch.hardware_infos:
        infos = [Jsonb(info) for info in batch.hardware_infos.values()]
        queries.update_hardware_info(conn, device_ids=list(batch.hardware_infos), infos=infos)
    if batch.errors:
        queries.store_device_errors(
            conn,
            device_ids=[device_id for device_id, _ in batch.errors],
            components=[error.component for _, error in batch.errors],
            codes=[error.code for _, error in batch.errors],
            times=[error.time for _, error in batch.errors],
            messages=[error.message for _, error in batch.errors],
        )
    if batch.config_reports:
        queries.report_configs(
            conn,
            device_ids=[device_id for device_id, _ in batch.config_reports],
            versions=[version for _, version in batch.config_reports],
            times=[report.time for report in batch.config_reports.values()],
            errors=[report.error for report in batch.config_reports.values()],
        )
    if batch.inventory:
        queries.insert_inventory(conn, reports=[report and Jsonb(report) for report in batch.inventory])
