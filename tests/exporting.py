"""Devices with known readings, what an export of them must hold, and the way of an export from asking to its file."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import numpy as np
import pandas as pd
from caller import Caller
from mail_server import Mailbox

from sql import DictConnection, queries

START = datetime(2023, 1, 1, tzinfo=UTC)
TEMPERATURE = 55


def store(conn: DictConnection, device_id: int, sensor_id: int, readings: Sequence[tuple[datetime, Any, Any]]) -> None:
    """Put (time, raw, value) of a new component into the database, as late data."""
    times, raws, values = ([reading[column] for reading in readings] for column in range(3))
    component = {"device_id": device_id, "sensor_id": sensor_id, "key": f"k{sensor_id}"}
    with conn.transaction():
        queries.hold_rollup_horizon(conn)
        conn.execute(
            "INSERT INTO components (device_id, sensor_id, key, latest_time) "
            "VALUES (%(device_id)s, %(sensor_id)s, %(key)s, %(latest_time)s)",
            {**component, "latest_time": max(times, default=None)},
        )
        conn.execute(
            "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) SELECT %(device_id)s, %(sensor_id)s, * "
            "FROM unnest(%(times)s::timestamptz[], %(raws)s::float8[], %(values)s::float8[])",
            {**component, "times": times, "raws": raws, "values": values},
        )
        conn.execute(
            "INSERT INTO rollup_dirty (device_id, day) SELECT DISTINCT %(device_id)s, (t AT TIME ZONE 'UTC')::date "
            "FROM unnest(%(times)s::timestamptz[]) AS t ON CONFLICT (device_id, day) DO UPDATE SET refreshing = false",
            {**component, "times": times},
        )


def change(
    conn: DictConnection,
    device_id: int,
    sensor_id: int,
    time: datetime,
    value: float,
    calibration_id: int | None = None,
) -> None:
    """Write one datapoint as late data or a recalibration does."""
    with conn.transaction():
        queries.hold_rollup_horizon(conn)
        conn.execute(
            "INSERT INTO datapoints (device_id, sensor_id, time, raw, value, calibration_id) "
            "VALUES (%s, %s, %s, 1, %s, %s) ON CONFLICT (device_id, sensor_id, time) "
            "DO UPDATE SET value = excluded.value, calibration_id = excluded.calibration_id",
            (device_id, sensor_id, time, value, calibration_id),
        )
        queries.mark_late_days(conn, device_ids=np.array([device_id], np.int32), days=[time.date()])


def export(caller: Caller, work: Callable[[], None], *device_ids: int, **query: Any) -> dict[str, Any]:
    """Ask for an export, let a worker make it, and return how it ended."""
    asked = caller.post("/v0/exports", {"device_ids": list(device_ids), **query})
    assert asked.status_code == 202, asked.text
    work()
    shown: dict[str, Any] = caller.get(asked.headers["Location"]).json
    return shown


def mails(mailbox: Mailbox, user: Caller) -> list[EmailMessage]:
    """A user's mails about exports; others' may be there too, and an account's own welcome."""
    theirs = [message for message in mailbox.messages if message["To"] == user.user["email"]]
    return [message for message in theirs if str(message["Subject"]).startswith("Your export")]


def fetch(anybody: Caller, url: str, **options: Any) -> bytes:
    """Download by a signed link."""
    answer = anybody.get(url, buffered=True, **options)  # read at once, and the file is closed
    assert answer.status_code in (200, 206), answer.text
    return answer.data


def load(anybody: Caller, shown: dict[str, Any]) -> pd.DataFrame:
    """Read an export's file with pandas, as README.md says."""
    assert shown["state"] == "finished", shown
    file = io.BytesIO(fetch(anybody, shown["download_url"]))
    if shown["filename"].endswith(".parquet"):
        frame = pd.read_parquet(file)
        frame["time"] = frame["time"].dt.tz_convert("UTC")
    else:
        frame = pd.read_csv(file, compression="gzip")
        frame["time"] = pd.to_datetime(frame["time"], format="ISO8601", utc=True)
    return frame


def ask(user: Caller, device: dict[str, Any], **query: Any) -> int:
    answer = user.post("/v0/exports", {"device_ids": [device["id"]], **query})
    assert answer.status_code == 202, answer.text
    return int(answer.json["id"])


def show(user: Caller, export_id: int) -> dict[str, Any]:
    return dict(user.get(f"/v0/exports/{export_id}").json)


def device_of_three_years(user: Caller, conn: DictConnection) -> dict[str, Any]:
    """A device with a reading every five days, for three years."""
    device = user.register_device()
    store(conn, device["id"], TEMPERATURE, [(START + timedelta(days=day), day, day) for day in range(0, 1096, 5)])
    return device
