"""Give datapoints the values that the calibrations in the database make of their raws."""

from dataclasses import replace

import numpy as np

from ingestor.calibration import FOREVER_US, Calibration, Readings, Version
from ingestor.columns import Columns, Integers
from ingestor.equation import compile_equation
from ingestor.times import to_us
from sql import DictConnection, Row, queries

_MOST = 100_000  # versions of devices, some 50 MB: beyond that it starts anew


class Versions:
    """Remembers which versions there are for which devices, while nobody adds one.

    Of absence it remembers nothing: a component that an equation needs and a device lacks may come any time.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._wide: list[Version] | None = None  # of sensors and kits
        self._own: list[Version] = []  # of devices
        self._devices: set[int] = set()  # those that have been looked up
        self._kits: dict[int, int] = {}
        self._sensors_of_keys: dict[tuple[int, str], int] = {}
        self._calibration = Calibration()

    def look_up(self, conn: DictConnection, rows: Columns, number: int) -> Calibration:
        """Return what holds for these rows; `number` is that of hold_rollup_horizon, in the same transaction.

        Nothing is asked of the database about devices that it knows, at most three queries are about others.
        """
        if number != self._number or len(self._own) > _MOST:
            self._forget()
            self._number = number
        device_ids = np.unique(rows.device_ids)
        unknown = [device for device in device_ids.tolist() if device not in self._devices]
        if unknown or self._wide is None:
            self._look_up_devices(conn, unknown)
        earliest_us, latest_us = (int(rows.times.min()), int(rows.times.max())) if len(rows) else (0, 0)
        for (_, keys), reach in self._calibration.reaches(earliest_us, latest_us).items():
            covered = self._calibration.covered(reach, device_ids).tolist()
            lacking = {device for device in covered for key in keys if (device, key) not in self._sensors_of_keys}
            if lacking:
                for row in queries.sensors_of_keys(conn, device_ids=sorted(lacking), keys=sorted(keys)):
                    self._sensors_of_keys[row["device_id"], row["key"]] = row["sensor_id"]
        return self._calibration

    def _look_up_devices(self, conn: DictConnection, device_ids: list[int]) -> None:
        own = [_version(row) for row in queries.calibrations_of_devices(conn, device_ids=device_ids)]
        self._own += own
        self._kits.update((row["id"], row["kit_id"]) for row in queries.kits_of_devices(conn, device_ids=device_ids))
        self._devices.update(device_ids)
        if self._wide is None or own:
            self._wide = self._wide or [_version(row) for row in queries.wide_calibrations(conn)]
            self._calibration = Calibration([*self._wide, *self._own], self._kits, self._sensors_of_keys)


def calibrate(conn: DictConnection, rows: Columns, versions: Versions, held: Row) -> tuple[Columns, Columns]:
    """Return rows with their values, and stored datapoints that these rows give another value: to be stored again.

    `rows` are in the order of their keys. What a reading lacks for an equation may be stored already, and what is
    stored may have waited for these rows: devices and clients send a reading's components apart, too.

    Call it in the transaction that stores the rows, with what hold_rollup_horizon returned in it. Whoever adds a
    version waits for such transactions to end, so its redo finds what they wrote, and later ones see the version.
    """
    if held["recalibrating"]:
        queries.lock_recalibrated(conn, device_ids=np.unique(rows.device_ids))
    calibration, readings = versions.look_up(conn, rows, held["calibrations"]), Readings(rows)
    missing = _missing(conn, calibration, rows, readings)
    stored = Columns(**queries.stored_datapoints(conn, **_keys(missing))) if len(missing) else missing
    if not len(stored):
        return calibration.apply(rows, readings), stored
    computed = calibration.apply(rows.with_(stored))
    stored = stored.take(stored.order())
    followed = np.isnan(readings.raws(**_keys(computed)))
    followers = computed.take(followed)
    same = (followers.values == stored.values) | (np.isnan(followers.values) & np.isnan(stored.values))
    return computed.take(~followed), followers.take(~same | (followers.calibration_ids != stored.calibration_ids))


def _missing(conn: DictConnection, calibration: Calibration, rows: Columns, readings: Readings) -> Columns:
    """Return the keys of what the rows' readings lack for equations with inputs; locks the devices concerned."""
    missing = rows.take(slice(0, 0))
    reaches = calibration.reaches(int(rows.times.min()), int(rows.times.max())) if len(rows) else {}
    locked = missing.device_ids
    for (sensor_id, keys), reach in reaches.items():
        devices: Integers = calibration.covered(reach, readings.devices)
        sensors = [np.full(len(devices), sensor_id, np.int32)]
        sensors += [calibration.sensors(devices, key) for key in sorted(keys)]
        concerned = rows.take(readings.of(np.tile(devices, len(sensors)), np.concatenate(sensors)))
        if not len(concerned):
            continue
        locked = np.union1d(locked, concerned.device_ids)
        device = np.searchsorted(devices, concerned.device_ids)
        for part in (each[device] for each in sensors):
            lacks = np.isnan(readings.raws(concerned.device_ids, part, concerned.times)) & (part > 0)
            if lacks.any():
                missing = missing.with_(replace(concerned.take(lacks), sensor_ids=part[lacks]))
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
