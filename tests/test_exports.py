"""Exports through the API and a worker: what a file holds, and who gets it."""

import gzip
import hashlib
import io
import json
import math
import random
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from caller import Caller
from exporting import export, fetch, load, mails, store
from flask import Flask
from mail_server import Mailbox, text_of

from sql import DictConnection

Work = Callable[[], None]
START = datetime(2025, 10, 25, 20, tzinfo=UTC)  # the night before clocks go back in Europe
TEMPERATURE, HUMIDITY = 55, 56
T_COLUMN = "Air Temperature in ºC (Sensirion SHT31 - Temperature)"
H_COLUMN = "Relative Humidity in % (Sensirion SHT31 - Humidity)"
FORMATS = pytest.mark.parametrize("file_format", ["csv", "parquet"])


def readings(seed: int, count: int) -> list[tuple[datetime, float | None, float | None]]:
    """Times with gaps and some fractions of seconds, values of all magnitudes, and some without a value."""
    chance = random.Random(seed)
    time, made = START, []
    for _ in range(count):
        time += timedelta(seconds=chance.choice([1, 60, 60, 60, 3600]))
        at = time + timedelta(microseconds=chance.choice([0, 0, 0, 0, 250_000]))
        raw = chance.choice([round(chance.gauss(20, 5), 2), chance.random() * 10 ** chance.randint(-9, 9), 21.0, -0.5])
        made.append((at, raw, None if chance.random() < 0.1 else raw * 1.1))
    return made


@pytest.fixture
def device(user: Caller, conn: DictConnection) -> dict[str, Any]:
    """A public device with two components whose readings come at the same times, and at others."""
    device = user.register_device(name="Balcony")
    store(conn, device["id"], TEMPERATURE, readings(1, 300))
    store(conn, device["id"], HUMIDITY, [*readings(2, 200), (START, 1.0, 1.5)])
    return device


def brute_force(conn: DictConnection, *device_ids: int) -> list[dict[str, Any]]:
    return conn.execute(
        "SELECT * FROM datapoints WHERE device_id = ANY(%s) ORDER BY device_id, sensor_id, time", (list(device_ids),)
    ).fetchall()


def same(found: Any, expected: float | None) -> bool:
    return pd.isna(found) if expected is None else found == expected


@FORMATS
def test_the_long_layout_is_the_table(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], file_format: str
) -> None:
    frame = load(user, export(user, work, device["id"], layout="long", values="both", format=file_format))

    expected = brute_force(conn, device["id"])
    assert list(frame.columns) == [
        "time", "device_id", "device", "sensor_id", "sensor", "measurement", "unit", "value", "raw",
    ]  # fmt: skip
    assert frame["sensor_id"].tolist() == [row["sensor_id"] for row in expected]
    assert frame["time"].tolist() == [row["time"] for row in expected]
    for column in ("value", "raw"):
        assert all(map(same, frame[column], [row[column] for row in expected]))
    assert set(zip(frame["device"], frame["unit"], strict=True)) == {("Balcony", "ºC"), ("Balcony", "%")}


@FORMATS
def test_the_wide_layout_has_a_row_for_each_time_and_a_column_for_each_component(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], file_format: str
) -> None:
    frame = load(user, export(user, work, device["id"], format=file_format))

    expected: dict[datetime, dict[int, float | None]] = {}
    for row in brute_force(conn, device["id"]):
        expected.setdefault(row["time"], {})[row["sensor_id"]] = row["value"]
    assert list(frame.columns) == ["time", T_COLUMN, H_COLUMN]
    assert frame["time"].tolist() == sorted(expected)
    for column, sensor_id in ((T_COLUMN, TEMPERATURE), (H_COLUMN, HUMIDITY)):
        assert all(map(same, frame[column], [expected[time].get(sensor_id) for time in sorted(expected)]))


def test_times_carry_the_offset_of_their_zone_when_the_clocks_go_back(
    user: Caller, work: Work, conn: DictConnection
) -> None:
    device = user.register_device()
    hours = [datetime(2025, 10, 26, hour, tzinfo=UTC) for hour in (0, 1)]
    store(conn, device["id"], TEMPERATURE, [(hour, 1.0, 21.0) for hour in hours])

    shown = export(user, work, device["id"], tz="Europe/Madrid")

    text = gzip.decompress(fetch(user, shown["download_url"])).decode()
    assert text == f"time,{T_COLUMN}\n2025-10-26T02:00:00+02:00,21\n2025-10-26T02:00:00+01:00,21\n"


@FORMATS
def test_components_of_one_name_keep_a_column_each(
    user: Caller, work: Work, conn: DictConnection, file_format: str
) -> None:
    device = user.register_device()
    twins = [
        conn.execute(
            "INSERT INTO sensors (name, unit, measurement_id) VALUES ('Twin', 'V', 11) RETURNING id"
        ).fetchone()["id"]  # type: ignore[index]
        for _ in range(2)
    ]
    for number, sensor_id in enumerate(twins):
        store(conn, device["id"], sensor_id, [(START, 1.0, float(number))])

    frame = load(user, export(user, work, device["id"], format=file_format))

    assert frame.drop(columns="time").to_dict("records") == [
        {f"Voltage in V (Twin) #{sensor_id}": number for number, sensor_id in enumerate(twins)}
    ]


@FORMATS
def test_several_devices_share_the_columns_of_their_sensors(
    user: Caller, work: Work, conn: DictConnection, file_format: str
) -> None:
    devices = [user.register_device(name=name) for name in ("Roof", "Cellar")]
    store(conn, devices[0]["id"], TEMPERATURE, [(START, 1.0, 1.0)])
    store(conn, devices[1]["id"], HUMIDITY, [(START, 2.0, 2.0)])
    ids = [device["id"] for device in devices]

    frame = load(user, export(user, work, *reversed(ids), format=file_format))

    assert list(frame.columns) == ["time", "device_id", "device", T_COLUMN, H_COLUMN]
    assert frame.astype(object).where(frame.notna(), None).drop(columns="time").values.tolist() == [
        [ids[0], "Roof", 1.0, None],
        [ids[1], "Cellar", None, 2.0],
    ]


def test_a_range_and_sensors_may_be_chosen(user: Caller, work: Work, conn: DictConnection) -> None:
    device = user.register_device()
    for sensor_id in (TEMPERATURE, HUMIDITY):
        store(conn, device["id"], sensor_id, [(START + timedelta(hours=hour), hour, hour) for hour in range(5)])
    chosen = {"from": (START + timedelta(hours=1)).isoformat(), "to": (START + timedelta(hours=3)).isoformat()}

    by_id = load(user, export(user, work, device["id"], sensors=[TEMPERATURE], **chosen))
    by_key = load(user, export(user, work, device["id"], sensors=[f"k{HUMIDITY}"], **chosen))

    assert by_id.drop(columns="time").to_dict("list") == {T_COLUMN: [1, 2, 3]}
    assert by_key.drop(columns="time").to_dict("list") == {H_COLUMN: [1, 2, 3]}


@FORMATS
@pytest.mark.parametrize("values", ["value", "raw"])
def test_a_rollup_says_what_history_says(
    user: Caller, work: Work, device: dict[str, Any], file_format: str, values: str
) -> None:
    query = {"rollup": "1d", "function": "avg,count", "tz": "Europe/Madrid"}
    span = {"from": START.isoformat(), "to": (START + timedelta(days=60)).isoformat()}
    frame = load(user, export(user, work, device["id"], values=values, format=file_format, **query, **span))

    raw = {"raw": "1"} if values == "raw" else {}
    history = user.history(device["id"], TEMPERATURE, **query, **span, **raw)
    suffix = " raw" if values == "raw" else ""
    columns = [f"{T_COLUMN} avg{suffix}", f"{T_COLUMN} count{suffix}"]
    kept = frame.dropna(subset=columns)
    assert len(history) > 3
    assert [
        [time.strftime("%Y-%m-%dT%H:%M:%SZ"), *rest] for time, *rest in kept[["time", *columns]].values.tolist()
    ] == history


def test_a_name_cannot_be_a_formula(user: Caller, work: Work, conn: DictConnection) -> None:
    device = user.register_device(name='=HYPERLINK("https://evil.example","click")')
    store(conn, device["id"], TEMPERATURE, [(START, -1.0, -1.0)])

    shown = export(user, work, device["id"], layout="long")

    line = gzip.decompress(fetch(user, shown["download_url"])).decode().splitlines()[1]
    assert f""",{device["id"]},"'=HYPERLINK(""https://evil.example"",""click"")",""" in line
    assert line.endswith(",-1")


def test_metadata_lets_a_reader_check_and_understand_the_file(
    user: Caller, anybody: Caller, work: Work, device: dict[str, Any]
) -> None:
    shown = export(user, work, device["id"])
    file = fetch(anybody, shown["download_url"])
    about = json.loads(fetch(anybody, shown["metadata_url"]))

    assert about["file"] == {
        "name": shown["filename"],
        "rows": gzip.decompress(file).count(b"\n") - 1,
        "bytes": len(file),
        "sha256": hashlib.sha256(file).hexdigest(),
    }
    assert (shown["rows"], shown["bytes"], shown["sha256"]) == tuple(
        about["file"][name] for name in ("rows", "bytes", "sha256")
    )
    (described,) = about["devices"]
    assert described["uuid"] == device["uuid"]
    assert [(c["sensor_id"], c["unit"], c["columns"]) for c in described["components"]] == [
        (TEMPERATURE, "ºC", [T_COLUMN]),
        (HUMIDITY, "%", [H_COLUMN]),
    ]


def test_a_device_without_readings_gives_a_file_with_a_header(user: Caller, work: Work, conn: DictConnection) -> None:
    device = user.register_device()
    store(conn, device["id"], TEMPERATURE, [])

    assert load(user, export(user, work, device["id"])).to_dict("list") == {"time": [], T_COLUMN: []}


def test_an_export_can_be_fetched_in_ranges(user: Caller, anybody: Caller, work: Work, device: dict[str, Any]) -> None:
    shown = export(user, work, device["id"])
    whole = fetch(anybody, shown["download_url"])

    def part(**headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return anybody.get(shown["download_url"], headers=named, buffered=True)

    first = part(Range="bytes=0-99")
    rest = part(Range="bytes=100-", If_Range=first.headers["ETag"])

    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.headers["Content-Range"] == f"bytes 0-99/{len(whole)}"
    assert first.data + rest.data == whole


def test_a_link_is_good_for_its_file_and_day_alone(
    user: Caller, anybody: Caller, work: Work, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, other = export(user, work, device["id"]), export(user, work, device["id"])
    token = shown["download_url"].split("/")[-2]

    forged = other["download_url"].replace(other["download_url"].split("/")[-2], token)
    assert anybody.get(forged).status_code == 403
    # its last character but one: of the last only four of six bits count
    broken = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    assert anybody.get(shown["download_url"].replace(token, broken)).status_code == 403
    monkeypatch.setattr("app.exports.links.LINK_VALID_S", -1)
    expired = anybody.get(shown["download_url"])
    assert (expired.status_code, "24 hours" in expired.json["message"]) == (403, True)


def test_a_small_file_is_attached_to_the_mail(
    user: Caller, anybody: Caller, work: Work, device: dict[str, Any], mailbox: Mailbox
) -> None:
    shown = export(user, work, device["id"])

    (message,) = mails(mailbox, user)
    attachments = {part.get_filename(): part.get_content() for part in message.iter_attachments()}
    assert (message["To"], message["Subject"]) == (user.user["email"], "Your export of Balcony")
    assert list(attachments) == [shown["filename"], "metadata.json"]
    assert attachments[shown["filename"]] == fetch(anybody, shown["download_url"])
    assert shown["mailed_at"] is not None


def test_of_a_large_file_the_mail_has_a_link(
    user: Caller, anybody: Caller, work: Work, device: dict[str, Any], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.exports._LARGEST_ATTACHMENT", 10)
    shown = export(user, work, device["id"])

    (link,) = (line for line in text_of(mails(mailbox, user)[0]).splitlines() if line.startswith("http"))
    assert list(mails(mailbox, user)[0].iter_attachments()) == []
    assert hashlib.sha256(fetch(anybody, link)).hexdigest() == shown["sha256"]


def test_numbers_keep_every_digit(user: Caller, work: Work, conn: DictConnection) -> None:
    device = user.register_device()
    numbers = [0.1 + 0.2, 1e-7, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789012345680.0, 100.0, 1 / 3]
    times = [START + timedelta(seconds=second) for second in range(len(numbers))]
    store(conn, device["id"], TEMPERATURE, list(zip(times, numbers, numbers, strict=True)))

    found = load(user, export(user, work, device["id"]))[T_COLUMN].tolist()

    assert [(value, math.copysign(1, value)) for value in found] == [(n, math.copysign(1, n)) for n in numbers]


def test_duckdb_reads_parquet_in_one_line(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], tmp_path: Path
) -> None:
    shown = export(user, work, device["id"], format="parquet", layout="long")
    path = tmp_path / shown["filename"]
    path.write_bytes(fetch(user, shown["download_url"]))

    (found,) = duckdb.sql(f"SELECT count(*), sum(value), max(time) FROM '{path}'").fetchall()

    expected = brute_force(conn, device["id"])
    values = [row["value"] for row in expected if row["value"] is not None]
    assert found == (len(expected), pytest.approx(sum(values)), max(row["time"] for row in expected))


def test_parquet_is_sorted_and_says_what_each_row_group_holds(
    user: Caller, work: Work, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.exports.parquet._CELLS_A_GROUP", 100)
    file = pq.ParquetFile(io.BytesIO(fetch(user, export(user, work, device["id"], format="parquet")["download_url"])))

    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    starts = [group.column(0).statistics.min for group in groups]
    assert len(groups) > 5
    assert starts == sorted(starts)
    assert {group.sorting_columns for group in groups} == {(pq.SortingColumn(0),)}


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_opens_the_csv(user: Caller, work: Work, device: dict[str, Any], tmp_path: Path) -> None:
    shown = export(user, work, device["id"])
    csv = tmp_path / "export.csv"
    csv.write_bytes(gzip.decompress(fetch(user, shown["download_url"])))

    subprocess.run(["soffice", "--headless", "--convert-to", "xlsx", "--outdir", tmp_path, csv], check=True, timeout=60)

    with zipfile.ZipFile(tmp_path / "export.xlsx") as workbook:
        assert workbook.read("xl/worksheets/sheet1.xml").count(b"<row ") == shown["rows"] + 1


def test_an_experiment_is_exported_from_its_beginning_to_its_end(
    user: Caller, work: Work, conn: DictConnection
) -> None:
    device = user.register_device()
    store(conn, device["id"], TEMPERATURE, [(START + timedelta(hours=hour), hour, hour) for hour in range(5)])
    span = {"starts_at": (START + timedelta(hours=1)).isoformat(), "ends_at": (START + timedelta(hours=3)).isoformat()}
    made = user.post("/v0/experiments", {"name": "Heat", "device_ids": [device["id"]], **span})
    assert made.status_code == 201, made.text

    asked = user.post("/v0/exports", {"experiment_id": made.json["id"]})
    work()

    frame = load(user, user.get(asked.headers["Location"]).json)
    assert frame[T_COLUMN].tolist() == [1, 2, 3]


def test_devices_are_found_by_the_filters_of_their_list(
    user: Caller, new_user: Callable[..., Caller], work: Work, conn: DictConnection
) -> None:
    name = f"Found {user.user['id']}"
    public, private = user.register_device(name=name), user.register_device(name=name, is_private=True)
    for device in (public, private):
        store(conn, device["id"], TEMPERATURE, [(START, 1.0, 1.0)])

    asked = new_user().post("/v0/exports", {"q": {"name_eq": name}})
    own = user.post("/v0/exports", {"q": {"name_eq": name, "id_in": [public["id"], private["id"]]}})

    assert asked.json["device_ids"] == [public["id"]]
    assert own.json["device_ids"] == [public["id"], private["id"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "device_ids"),
        ({"device_ids": [1], "experiment_id": 1}, "device_ids"),
        ({"device_ids": []}, "device_ids"),
        ({"q": {"name_is": "x"}}, "q"),
        ({"q": {"name_eq": "nobody's"}}, "q"),
        ({"device_ids": [1], "from": "2026-01-02", "to": "2026-01-01"}, "from"),
        ({"device_ids": [1], "tz": "Mars/Olympus"}, "tz"),
        ({"device_ids": [1], "rollup": "0h"}, "rollup"),
        ({"device_ids": [1], "format": "xlsx"}, "format"),
        ({"device_ids": [1], "sensors": [None]}, "sensors"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_field(user: Caller, body: dict[str, Any], field: str) -> None:
    refused = user.post("/v0/exports", body)

    assert refused.status_code == 422
    assert [name.partition(".")[0] for name in refused.json["errors"]] == [field]


def test_metadata_names_the_calibrations_that_made_the_values(user: Caller, work: Work, conn: DictConnection) -> None:
    device = user.register_device()
    store(conn, device["id"], TEMPERATURE, [(START + timedelta(hours=hour), hour, 2 * hour) for hour in range(3)])
    calibration = conn.execute(
        "INSERT INTO calibrations (sensor_id, device_id, valid_from, equation) "
        "VALUES (%s, %s, %s, '2 * raw') RETURNING id",
        (TEMPERATURE, device["id"], START),
    ).fetchone()
    assert calibration is not None
    conn.execute("UPDATE datapoints SET calibration_id = %s WHERE device_id = %s", (calibration["id"], device["id"]))

    about = json.loads(fetch(user, export(user, work, device["id"])["metadata_url"]))

    (component,) = about["devices"][0]["components"]
    assert [(c["id"], c["equation"]) for c in component["calibrations"]] == [(calibration["id"], "2 * raw")]


def test_a_file_that_lies_in_s3_is_fetched_from_there(
    app: Flask, user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = export(user, work, device["id"])
    config = replace(app.extensions["config"], storage_url="s3://almanac-files/production")
    monkeypatch.setitem(app.extensions, "config", config)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "eu-west-1")

    answer = user.get(shown["download_url"])

    place = urlsplit(answer.headers["Location"])
    assert (answer.status_code, place.scheme) == (302, "https")
    assert place.path == f"/almanac-files/production/exports/{shown['id']}/1/{shown['filename']}"
    assert "X-Amz-Signature=" in place.query
