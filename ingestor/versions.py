"""Look up which calibrations hold for datapoints."""

import numpy as np

from ingestor.calibration import FOREVER_US, Calibration, Points, Version
from ingestor.equation import compile_equation
from ingestor.times import from_us, to_us
from sql import DictConnection, Row, queries


def look_up(conn: DictConnection, points: Points) -> Calibration:
    """Return what holds for these datapoints: one query, or up to three where a version is a kit's or has inputs.

    For values to be stored, call it in their transaction after hold_rollup_horizon: whoever adds a version waits for
    such transactions to end, and its redo finds what they wrote; later ones see the version here.
    """
    if not len(points.times):
        return Calibration()
    device_ids = np.unique(points.device_ids)
    rows = queries.calibrations_in_force(
        conn,
        device_ids=device_ids,
        sensor_ids=np.unique(points.sensor_ids),
        earliest=from_us(int(points.times.min())),
        latest=from_us(int(points.times.max())),
    )
    versions = [_version(row) for row in rows]
    kit_ids = sorted({version.kit_id for version in versions if version.kit_id is not None})
    kits = queries.devices_of_kits(conn, device_ids=device_ids, kit_ids=kit_ids) if kit_ids else []
    keys = sorted({key for version in versions for key in version.equation.inputs})
    sensors = queries.sensors_of_keys(conn, device_ids=device_ids, keys=keys) if keys else []
    return Calibration(
        versions,
        {row["kit_id"]: row["device_ids"] for row in kits},
        {(row["device_id"], row["key"]): row["sensor_id"] for row in sensors},
    )


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
