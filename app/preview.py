"""What a candidate equation would make of stored readings, beside what they are and beside a reference."""

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from app.calibrations import compute
from ingestor.calibration import BEGINNING_US, Calibration, Version
from ingestor.columns import Floats, Times
from ingestor.equation import Equation
from sql import DictConnection, Row, queries

_MOST = 100_000  # readings: a month of two a minute
_HOUR_US = 3_600_000_000


class TooManyReadingsError(ValueError):
    """More readings than a preview computes; the message says what can be asked for."""


class Series(NamedTuple):
    """A component's readings, the oldest first; NaN stands for null."""

    times: Times
    raws: Floats
    values: Floats


def preview_of(
    conn: DictConnection, component: Row, equation: Equation, start: datetime, end: datetime, reference: Row | None
) -> Row:
    """Return a Preview of start <= time < end; component and reference hold device_id and sensor_id.

    Raises TooManyReadingsError.
    """
    old = _read(conn, component, start, end)
    device_id, sensor_id = component["device_id"], component["sensor_id"]
    keys = sorted(equation.inputs)
    sensors = queries.sensors_of_keys(conn, device_ids=[device_id], keys=keys) if keys else []
    candidate = Calibration(
        [Version(0, sensor_id, equation, BEGINNING_US)],
        sensors_of_keys={(device_id, row["key"]): row["sensor_id"] for row in sensors},
    )
    new = compute(conn, candidate, device_id=device_id, sensor_id=sensor_id, times=old.times, raws=old.raws).values
    return {
        "device_id": device_id,
        "sensor_id": sensor_id,
        "equation": equation.text,
        "from": start,
        "to": end,
        "change": difference(new, old.values),
        "columns": ["time", "raw", "old", "new"],
        "readings": _rows(old.times, old.raws, old.values, new)[::-1],
        "reference": _beside(reference, _read(conn, reference, start, end), old, new) if reference else None,
    }


def difference(values: Floats, others: Floats) -> Row:
    """Return how one series differs from another, where both have a value: bias and root mean square."""
    differences = values - others
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return {"n": 0, "bias": None, "rmse": None}
    bias, rmse = float(differences.mean()), float(np.sqrt(np.square(differences).mean()))
    return {"n": len(differences), "bias": bias, "rmse": rmse}


def _read(conn: DictConnection, component: Row, start: datetime, end: datetime) -> Series:
    where = {"device_id": component["device_id"], "sensor_id": component["sensor_id"], "start": start, "before": end}
    row = queries.preview_readings(conn, **where, most=_MOST + 1)
    if row["time"] is None:
        return Series(np.empty(0, np.int64), np.empty(0), np.empty(0))
    if len(row["time"]) > _MOST:
        raise TooManyReadingsError(f"a preview computes at most {_MOST:,} readings: ask for a shorter range")
    return Series(row["time"], row["raw"], row["value"])


def _beside(reference: Row, beside: Series, old: Series, new: Floats) -> Row:
    # Stations report hourly means, and clocks differ by seconds: hours are what two instruments can share.
    hours = np.intersect1d(old.times // _HOUR_US, beside.times // _HOUR_US) * _HOUR_US
    ours, ours_new = (_hourly_means(old.times, values, hours) for values in (old.values, new))
    theirs = _hourly_means(beside.times, beside.values, hours)
    return {
        "device_id": reference["device_id"],
        "sensor_id": reference["sensor_id"],
        "old": difference(ours, theirs),
        "new": difference(ours_new, theirs),
        "columns": ["time", "reference", "old", "new"],
        "hours": _rows(hours, theirs, ours, ours_new)[::-1],
    }


def _hourly_means(times: Times, values: Floats, hours: Times) -> Floats:
    hour = times // _HOUR_US * _HOUR_US
    counted = ~np.isnan(values) & np.isin(hour, hours)
    place = np.searchsorted(hours, hour[counted])
    with np.errstate(invalid="ignore"):
        means: Floats = np.bincount(place, values[counted], len(hours)) / np.bincount(place, minlength=len(hours))
    return means


def _rows(times: Times, *columns: Floats) -> list[tuple[Any, ...]]:
    moments = times.astype("datetime64[us]").tolist()
    return list(zip(moments, *(column.tolist() for column in columns), strict=True))
