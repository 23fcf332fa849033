"""Give datapoints the values that the calibrations in the database make of their raws."""

from dataclasses import replace

import numpy as np

from ingestor.calibration import FOREVER_US, Calibration, Readings, Version
from ingestor.columns import Columns
from ingestor.equation import compile_equation
from ingestor.times import from_us, to_us
from sql import DictConnection, Row, queries


def calibrate(conn: DictConnection, rows: Columns) -> tuple[Columns, Columns]:
    """Return rows with their values, and stored datapoints that these rows give another value: to be stored again.

    `rows` are in the order of their keys. What a reading lacks for an equation may be stored already, and what is
    stored may have waited for these rows: devices and clients send a reading's components apart, too.

    Call it in the transaction that stores the rows, after hold_rollup_horizon. Whoever adds a version waits for such
    transactions to end, so its redo finds what they wrote, and later ones see the version.
    """
    queries.lock_recalibrated(conn, device_ids=np.unique(rows.device_ids))
    calibration = look_up(conn, rows)
    missing = _missing(conn, calibration, rows)
    stored = Columns(**queries.stored_datapoints(conn, **_keys(missing))) if len(missing) else missing
    if not len(stored):
        return calibration.apply(rows), stored
    computed = calibration.apply(rows.with_(stored))
    stored = stored.take(stored.order())
    followed = np.isnan(Readings(rows).raws(**_keys(computed)))
    followers = computed.take(followed)
    same = (followers.values == stored.values) | (np.isnan(followers.values) & np.isnan(stored.values))
    return computed.take(~followed), followers.take(~same | (followers.calibration_ids != stored.calibration_ids))


def look_up(conn: DictConnection, rows: Columns) -> Calibration:
    """Return what holds for these rows: one query, or up to three where a version is a kit's or has inputs."""
    if not len(rows):
        return Calibration()
    device_ids = np.unique(rows.device_ids)
    versions = [
        _version(row)
        for row in queries.calibrations_in_force(
            conn,
            device_ids=device_ids,
            sensor_ids=np.unique(rows.sensor_ids),
            earliest=from_us(int(rows.times.min())),
            latest=from_us(int(rows.times.max())),
        )
    ]
    kit_ids = sorted({version.kit_id for version in versions if version.kit_id is not None})
    kits = queries.devices_of_kits(conn, device_ids=device_ids, kit_ids=kit_ids) if kit_ids else []
    keys = sorted({key for version in versions for key in version.equation.inputs})
    sensors = queries.sensors_of_keys(conn, device_ids=device_ids, keys=keys) if keys else []
    return Calibration(
        versions,
        {row["kit_id"]: row["device_ids"] for row in kits},
        {(row["device_id"], row["key"]): row["sensor_id"] for row in sensors},
    )


def _missing(conn: DictConnection, calibration: Calibration, rows: Columns) -> Columns:
    """Return the keys of what the rows' readings lack for equations with inputs; locks the devices concerned."""
    missing = rows.take(slice(0, 0))
    crossing = [version for version in calibration.versions if version.equation.inputs]
    if not crossing:
        return missing
    readings, locked = Readings(rows), missing.device_ids
    for version in crossing:
        covered = rows.take(calibration.covers(version, rows.device_ids))
        parts = [np.full(len(covered), version.sensor_id, np.int32)]
        parts += [calibration.sensors(covered.device_ids, key) for key in sorted(version.equation.inputs)]
        concerned = np.any([covered.sensor_ids == part for part in parts], axis=0)
        locked = np.union1d(locked, covered.device_ids[concerned])
        for part in parts:
            lacks = np.isnan(readings.raws(covered.device_ids, part, covered.times)) & concerned & (part > 0)
            if lacks.any():
                lacking = covered.take(lacks)
                missing = missing.with_(replace(lacking, sensor_ids=part[lacks]))
    if len(locked):
        queries.lock_readings(conn, device_ids=locked)
    return missing


def _keys(rows: Columns) -> Row:
    return {"device_ids": rows.device_ids, "sensor_ids": rows.sensor_ids, "times": rows.times}


def _version(row: Row) -> Version:
    return Version(
        row["id"],
        row["sensor_id"],
        compile_equation(row["equation"]),
        to_us(row["valid_from"]),
        FOREVER_US if row["valid_until"] is None else to_us(row["valid_until"]),
        row["kit_id"],
        row["device_id"],
    )
