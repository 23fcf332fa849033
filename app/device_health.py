"""How a device is: when it was heard, what it should have sent, what is wrong."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from app.history.expected import Pace, expected_readings
from ingestor.times import to_us
from sql import DictConnection, Row, queries

_DAY = timedelta(days=1)
_MOST_ERRORS = 20


def read_health(conn: DictConnection, device: Row, now: datetime) -> Row:
    """Return a DeviceHealth; `now` is UTC, `device` has its id."""
    device_id = device["id"]
    heard = queries.device_heard(conn, device_id=device_id)
    start = now - _DAY
    components = queries.components_between(conn, device_id=device_id, start=start, before=now)
    paces: dict[int, list[Pace]] = defaultdict(list)
    sensor_ids = [component["sensor_id"] for component in components]
    for row in queries.paces_of_components(conn, device_id=device_id, sensor_ids=sensor_ids):
        paces[row.pop("sensor_id")].append(Pace(**row))
    errors = queries.open_device_errors(conn, device_id=device_id, most=_MOST_ERRORS)
    open_errors = [error.pop("total") for error in errors]
    reasons = queries.quarantine_reasons(conn, device_id=device_id, since=start)
    return {
        "device_id": device_id,
        "last_seen_at": heard["last_seen_at"],
        "last_reading_at": heard["last_reading_at"],
        "expected_interval": heard["expected_interval"],
        "coverage": _coverage(components, paces, start, now),
        "battery": _battery(components),
        "errors": {"open": open_errors[0] if open_errors else 0, "latest": errors},
        "quarantine": {"count": sum(row["count"] for row in reasons), "reasons": reasons},
        "config": _config(queries.device_configs_that_count(conn, device_id=device_id)),
        "clock": _clock(heard),
    }


def _coverage(components: Sequence[Row], paces: dict[int, list[Pace]], start: datetime, now: datetime) -> Row:
    starts, ends = np.array([to_us(start)]), np.array([to_us(now)])
    shown = []
    for component in components:
        sensor_id, n = component["sensor_id"], component["n"]
        (expected,) = expected_readings(paces[sensor_id], component["usual_s"], starts, ends)
        ratio = min(1, n / expected) if expected else None
        shown.append({"sensor_id": sensor_id, "key": component["key"], "n": n, "expected": expected, "ratio": ratio})
    known = [part for part in shown if part["expected"]]
    expected = sum(part["expected"] for part in known)
    kept = sum(min(part["n"], part["expected"]) for part in known)
    return {"since": start, "ratio": kept / expected if expected else None, "components": shown}


def _battery(components: Iterable[Row]) -> Row | None:
    batteries = [c for c in components if c["is_battery"] and c["latest_time"] is not None]
    if not batteries:
        return None
    newest = max(batteries, key=lambda component: component["latest_time"])
    fields = {"sensor_id": "sensor_id", "key": "key", "value": "latest_value", "unit": "unit", "time": "latest_time"}
    return {name: newest[column] for name, column in fields.items()}


def _config(rows: Sequence[Row]) -> Row:
    def first(role: str) -> Any:
        return next((row for row in rows if row[role]), None)

    desired, reported = first("is_desired"), first("is_reported")
    if desired is None:
        state = "none"
    elif desired["is_applied"]:
        state = "applied"
    else:
        state = "refused" if desired["error"] is not None else "waiting"
    return {
        "state": state,
        "desired_version": desired and desired["version"],
        "reported_version": reported and reported["version"],
        "error": desired and desired["error"],
    }


def _clock(heard: Row) -> Row | None:
    """How far a device's clock is ahead of ours, as its newest reading showed when it came."""
    if heard["last_received_at"] is None or heard["last_received_at"] - heard["last_reading_at"] > _DAY:
        return None  # what is older had been stored, on a card or in the device
    skew = heard["last_reading_at"] - heard["last_received_at"]
    return {"skew_seconds": round(skew.total_seconds(), 1), "time": heard["last_received_at"]}
