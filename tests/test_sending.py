"""Readings that come over HTTP: JSON, SenML, and the first generation of kits."""

import gzip
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from flask import Flask
from werkzeug.test import TestResponse

from sql import DictConnection

DAY = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}


def body(*values: tuple[str, Any, Any]) -> dict[str, Any]:
    """A reading a value: time of the day, sensor, value."""
    return {
        "data": [
            {"recorded_at": f"2026-01-15T{at}Z", "sensors": [{"id": sensor, "value": value}]}
            for at, sensor, value in values
        ]
    }


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def send(caller: Caller, device: dict[str, Any], json: Any = None, **options: Any) -> TestResponse:
    return caller.post(f"/v0/devices/{device['id']}/readings", json, **options)


def test_what_is_answered_is_committed(user: Caller, device: dict[str, Any]) -> None:
    answer = send(user, device, body(("08:30:00", 55, 21.4), ("08:31:00", 55, "21.5")))

    assert answer.status_code == 200
    assert user.history(device["id"], 55, **DAY) == [["2026-01-15T08:30:00Z", 21.4], ["2026-01-15T08:31:00Z", 21.5]]


def test_the_answer_has_the_shape_of_the_contract_and_counts(user: Caller, device: dict[str, Any]) -> None:
    send(user, device, body(("08:30:00", 55, 21.4)))

    answer = send(user, device, body(("08:30:00", 55, 21.4), ("08:31:00", 9999, 1), ("08:32:00", "t", 3)))

    assert answer.json == {
        "id": "ok",
        "message": "1 stored, 1 known already, 1 quarantined",
        "url": "",
        "errors": "",
        "received": 3,
        "stored": 1,
        "duplicate": 1,
        "quarantined": [{"index": 1, "reason": "unknown_sensor", "detail": "no sensor has the id 9999"}],
    }


@pytest.mark.parametrize(
    ("payload", "status", "says"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b"[]", 400, "expected"),
        (b"{}", 400, "expected"),
        (b'{"data": 7}', 400, "expected"),
        (b'{"data": []}', 400, "no value"),
        (b'{"data": [7]}', 422, "expected recorded_at"),
        (b'{"data": ["\\ud800"]}', 422, "expected recorded_at"),
        (b'{"data": [{"recorded_at": "", "sensors": [{"id": 55, "value": 1}]}]}', 422, "no recorded_at"),
        (b'{"data": [{"recorded_at": "2126-01-01", "sensors": [{"id": 55, "value": 1}]}]}', 422, "is not between"),
        (b'{"data": [{"recorded_at": "2026-01-01", "sensors": [{"id": 55, "value": NaN}]}]}', 422, "no finite number"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    user: Caller, device: dict[str, Any], payload: bytes, status: int, says: str
) -> None:
    answer = send(user, device, data=payload, content_type="application/json")

    assert (answer.status_code, set(answer.json) >= {"id", "message", "errors", "url"}) == (status, True)
    assert says in answer.json["message"]


def test_readings_in_any_order_leave_the_device_at_its_newest(user: Caller, device: dict[str, Any]) -> None:
    out_of_order = [("08:32:00", 55, 3), ("08:30:00", 55, 1), ("08:33:00", 56, 48), ("08:31:00", 55, 2)]

    send(user, device, json=body(*out_of_order))

    shown = user.get(f"/v0/devices/{device['id']}").json
    sensors = {sensor["id"]: sensor for sensor in shown["data"]["sensors"]}
    assert shown["last_reading_at"] == "2026-01-15T08:33:00Z"
    assert [(sensors[key]["value"], sensors[key]["prev_value"]) for key in (55, 56)] == [(3, 2), (48, None)]
    assert [value for _, value in user.history(device["id"], 55, **DAY)] == [1, 2, 3]


def test_a_request_that_spans_weeks_is_shown_from_its_oldest_reading_on(user: Caller, device: dict[str, Any]) -> None:
    days = ("2026-01-15", "2026-01-01")
    data = [{"recorded_at": day, "sensors": [{"id": 55, "value": 1}]} for day in days]

    send(user, device, json={"data": data})

    shown = user.history(device["id"], 55, **{"from": "2025-12-01", "to": "2026-01-16", "rollup": "1d"})
    assert [time for time, _ in shown] == ["2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z"]


def test_a_gzip_body_is_read(user: Caller, device: dict[str, Any]) -> None:
    packed = gzip.compress(json.dumps(body(("08:30:00", 55, 21.4))).encode())

    answer = send(user, device, data=packed, content_type="application/json", headers={"Content-Encoding": "gzip"})

    assert answer.json["stored"] == 1


@pytest.mark.parametrize(
    ("payload", "encoding", "status"),
    [
        (gzip.compress(b" " * (10 * 2**20 + 1)), "gzip", 413),
        (b" " * (10 * 2**20 + 1), "identity", 413),
        (gzip.compress(b"{}")[:-9], "gzip", 400),
        (gzip.compress(json.dumps(body(("08:30:00", 55, 21.4))).encode()) + gzip.compress(b" "), "gzip", 400),
        (b"{}", "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["a bomb", "too long", "cut short", "going on", "not gzip", "another encoding"],
)
def test_bodies_that_are_too_long_or_packed_wrongly_are_refused(
    user: Caller, device: dict[str, Any], payload: bytes, encoding: str, status: int
) -> None:
    headers = {"Content-Encoding": encoding}

    assert send(user, device, data=payload, content_type="application/json", headers=headers).status_code == status


def test_fifty_thousand_datapoints_are_taken_and_one_more_is_not(user: Caller, device: dict[str, Any]) -> None:
    first = datetime(2026, 1, 15, tzinfo=UTC)

    def many(count: int) -> dict[str, Any]:
        times = [f"{first + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}" for second in range(count)]
        return {"data": [{"recorded_at": time, "sensors": [{"id": 55, "value": 1}]} for time in times]}

    assert "50,001 datapoints" in send(user, device, many(50_001)).json["message"]
    assert send(user, device, many(50_000)).json["stored"] == 50_000


def test_the_same_request_again_gets_the_same_answer(user: Caller, device: dict[str, Any]) -> None:
    answers = [send(user, device, body(("08:30:00", 55, 1)), headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert [answer.json["stored"] for answer in answers] == [1, 1]
    assert answers[0].json == answers[1].json


def test_a_key_belongs_to_one_request_of_one_device(user: Caller, device: dict[str, Any]) -> None:
    send(user, device, body(("08:30:00", 55, 1)), headers={"Idempotency-Key": "k"})

    other = send(user, device, body(("08:31:00", 55, 1)), headers={"Idempotency-Key": "k"})
    elsewhere = send(user, user.register_device(), body(("08:31:00", 55, 1)), headers={"Idempotency-Key": "k"})

    assert (other.status_code, "another request" in other.json["message"]) == (422, True)
    assert elsewhere.json["stored"] == 1


def test_requests_with_one_key_at_the_same_time_store_once_and_say_the_same(
    app: Flask, user: Caller, device: dict[str, Any]
) -> None:
    answers: list[Any] = []

    def ask() -> None:
        caller = Caller(app, user.access_token)
        answers.append(send(caller, device, body(("08:30:00", 55, 1)), headers={"Idempotency-Key": "k"}).json)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer["stored"] for answer in answers] == [1] * 4


def test_senml_is_read_with_its_base_values(user: Caller, device: dict[str, Any]) -> None:
    pack = [
        {"bn": "urn:dev:mac:0024befffe804ff1:", "bt": 1768465800, "bv": 1, "n": "55", "u": "Cel", "v": 20.4},
        {"n": "h", "t": 60, "v": 47},
        {"n": "t", "t": 60, "vs": "warm"},
    ]

    answer = send(user, device, data=json.dumps(pack), content_type="application/senml+json")

    assert (answer.json["stored"], [item["index"] for item in answer.json["quarantined"]]) == (2, [2])
    assert user.history(device["id"], 55, **DAY) == [["2026-01-15T08:30:00Z", 21.4]]
    assert user.history(device["id"], 56, **DAY) == [["2026-01-15T08:31:00Z", 48.0]]


@pytest.mark.parametrize("numbers", [{"t": 1.5}, {"bt": -(10**400)}, {"t": 1768465800, "bv": 10**400, "v": 1.5}])
def test_a_senml_record_of_numbers_beyond_all_measure_is_kept_aside(
    user: Caller, device: dict[str, Any], numbers: dict[str, Any]
) -> None:
    pack = [{"n": "55", "v": 1, "bt": 10**400, **numbers}]

    answer = send(user, device, data=json.dumps(pack), content_type="application/senml+json")

    assert (answer.status_code, answer.json["quarantined"][0]["index"]) == (422, 0)


def test_a_senml_record_without_time_was_measured_now(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    send(user, device, data=json.dumps([{"n": "55", "v": 1}]), content_type="application/senml+json")

    (row,) = conn.execute("SELECT time FROM datapoints WHERE device_id = %s", [device["id"]]).fetchall()
    assert abs(row["time"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_kit_of_the_first_generation_sends_by_its_mac_address(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device = user.register_device(kit_id=3, mac_address="00:06:66:2A:02:8F")
    headers = {
        "X-SmartCitizenMacADDR": "00:06:66:2a:02:8f",
        "X-SmartCitizenVersion": "1.1-0.8.5-A",
        "X-SmartCitizenData": '[{"temp":"25768","hum":"29116","timestamp":"2026-01-15 8:30:00"}]',
    }

    answer = anybody.put("/add", headers=headers)

    assert re.fullmatch(r"UTC:\d{4},\d{1,2},\d{1,2},\d\d,\d\d,\d\d#", answer.text)
    rows = conn.execute(
        "SELECT sensor_id, raw FROM datapoints WHERE device_id = %s ORDER BY 1", [device["id"]]
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [(12, 25768.0), (13, 29116.0)]


@pytest.mark.parametrize(
    ("data", "stored", "reason"),
    [
        ('[{"temp":"25768","timestamp":"2026-01-15 8:30:00"', 0, "unreadable"),
        ('[7, {"temp":"25768","timestamp":"2026-01-15 8:30:00"}]', 1, "unreadable"),
        ('[{"temp":25768,"hum":NaN,"timestamp":"2026-01-15 8:30:00"}]', 1, "not_a_number"),
    ],
    ids=["cut short", "one that is none", "a sensor without a value"],
)
def test_what_such_a_kit_sends_that_cannot_be_stored_is_kept_aside(
    user: Caller, anybody: Caller, conn: DictConnection, data: str, stored: int, reason: str
) -> None:
    device = user.register_device(kit_id=3)
    mac = "00:06:66:" + device["id"].to_bytes(3, "big").hex(":")
    user.patch(f"/v0/devices/{device['id']}", {"mac_address": mac})

    anybody.put("/add", headers={"X-SmartCitizenMacADDR": mac, "X-SmartCitizenData": data})

    rows = conn.execute("SELECT FROM datapoints WHERE device_id = %s", [device["id"]]).fetchall()
    (item,) = user.get(f"/v0/quarantine?device_id={device['id']}").json
    assert (len(rows), item["reason"]) == (stored, reason)


@pytest.mark.parametrize("data", ["", "{", "[7]", '[{"temp":"1"}]', '[{"temp":"x","timestamp":"soon"}]'])
def test_such_a_kit_is_told_the_time_whatever_it_sends(anybody: Caller, data: str) -> None:
    headers = {"X-SmartCitizenMacADDR": "no address", "X-SmartCitizenData": data}

    assert anybody.put("/add", headers=headers).text.startswith("UTC:")
    assert anybody.get("/datetime").text.startswith("UTC:")
