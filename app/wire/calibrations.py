"""Calibrations and redos as JSON."""

from sql import Row


def calibration_json(row: Row) -> Row:
    """Return a Calibration; the row comes from calibrations_by_ids."""
    scope = "device" if row["device_id"] is not None else "kit" if row["kit_id"] is not None else "sensor"
    return {"scope": scope, **row}


def recalibration_json(row: Row) -> Row:
    """Return a Recalibration; the row comes from recalibrations_by_ids."""
    whole = (row["range_end"] - row["range_start"]).total_seconds()
    done = (row["done_until"] - row["range_start"]).total_seconds()
    progress = 1.0 if row["state"] == "done" or whole <= 0 else min(done / whole, 1.0)
    same = ("id", "device_id", "sensor_id", "calibration_id", "state", "computed", "changed", "error")
    times = ("created_at", "started_at", "finished_at")
    return {
        **{key: row[key] for key in (*same, *times)},
        "from": row["range_start"],
        "to": row["range_end"],
        "progress": round(progress, 4),
    }
