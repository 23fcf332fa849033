"""The inbox of what could not be stored."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from caller import Caller
from flask import Flask

from app.catalogue import insert_sensor
from ingestor.tokens import hash_token
from sql import DictConnection, queries

DAY = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def send(user: Caller, device: dict[str, Any], *values: tuple[str, Any, Any]) -> None:
    data = [{"recorded_at": time, "sensors": [{"id": sensor, "value": value}]} for time, sensor, value in values]
    user.post(f"/v0/devices/{device['id']}/readings", {"data": data})


def inbox(user: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = user.get("/v0/quarantine", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json
    return items


def test_an_owner_sees_what_was_kept_of_their_devices_and_why(user: Caller, device: dict[str, Any]) -> None:
    send(user, device, ("2026-01-15T08:30:00Z", 9998, 1), ("2126-01-15T08:30:00Z", 55, 2))

    (late, unknown) = inbox(user)

    assert (unknown["device_id"], unknown["reason"], unknown["detail"]) == (
        device["id"],
        "unknown_sensor",
        "no sensor has the id 9998",
    )
    assert late["reason"] == "impossible_time"
    assert "2126" in user.get(f"/v0/quarantine/{late['id']}").json["payload"]
    assert inbox(user, reason="impossible_time") == [late]
    assert inbox(user, device_id=device["id"], per_page=1) == [late]


def test_an_inbox_is_of_all_ones_devices_the_newest_first_or_of_one(user: Caller, device: dict[str, Any]) -> None:
    roof = user.register_device(name="Roof")
    for number, one in enumerate((device, roof, device)):
        send(user, one, ("2026-01-15T08:30:00Z", 9998, number))

    def devices(**query: Any) -> list[int]:
        return [item["device_id"] for item in inbox(user, **query)]

    assert devices() == [device["id"], roof["id"], device["id"]]
    assert devices(device_id=roof["id"]) == [roof["id"]]
    assert user.get(f"/v0/quarantine?device_id={device['id']}&per_page=1").headers["Total"] == "2"
    assert [json.loads(item["payload"])["sensors"][0]["value"] for item in inbox(user)] == [2, 1, 0]


def test_others_see_nothing_of_it(
    user: Caller, new_user: Callable[..., Caller], admin: Caller, device: dict[str, Any]
) -> None:
    send(user, device, ("2026-01-15T08:30:00Z", 9998, 1))
    (item,) = inbox(user)
    other = new_user()

    assert inbox(other) == []
    assert other.get(f"/v0/quarantine/{item['id']}").status_code == 404
    assert other.delete(f"/v0/quarantine/{item['id']}").status_code == 404
    assert other.post("/v0/quarantine/release", {"ids": [item["id"]]}).status_code == 404
    assert item in inbox(admin, device_id=device["id"])


def test_a_reading_is_released_once_its_sensor_is_known(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    send(user, device, ("2026-01-15T08:30:00Z", "brand_new", 7))
    (item,) = inbox(user)
    early = user.post("/v0/quarantine/release", {"ids": [item["id"]]}).json
    sensor_id = insert_sensor(conn, {"name": "Brand new", "description": "", "default_key": "brand_new"})

    released = user.post("/v0/quarantine/release", {"ids": [item["id"]]})

    assert early == {
        "stored": 0,
        "duplicate": 0,
        "kept": [{"id": item["id"], "reason": "unknown_sensor", "detail": "no sensor has the key 'brand_new'"}],
    }
    assert released.json == {"stored": 1, "duplicate": 0, "kept": []}
    assert user.history(device["id"], sensor_id, **DAY) == [["2026-01-15T08:30:00Z", 7.0]]
    assert inbox(user) == []


def test_readings_of_a_wrong_clock_are_released_with_their_times_put_right(
    user: Caller, device: dict[str, Any]
) -> None:
    send(user, device, ("1970-01-15T08:30:00Z", 55, 7), ("1970-01-15T08:31:00Z", 55, 8))
    ids = [item["id"] for item in inbox(user)]
    years = 20454 * 86400  # days from 1970-01-15 to 2026-01-15

    assert user.post("/v0/quarantine/release", {"ids": ids, "shift_seconds": years}).json["stored"] == 2
    assert user.history(device["id"], 55, **DAY) == [["2026-01-15T08:30:00Z", 7.0], ["2026-01-15T08:31:00Z", 8.0]]


def test_a_time_that_a_shift_moves_beyond_all_years_stays(user: Caller, device: dict[str, Any]) -> None:
    send(user, device, ("9999-12-31T23:59:59Z", 55, 7))
    (item,) = inbox(user)

    answer = user.post("/v0/quarantine/release", {"ids": [item["id"]], "shift_seconds": 1})

    assert (answer.status_code, answer.json["kept"][0]["reason"]) == (200, "impossible_time")


def test_what_a_kit_sent_before_it_was_registered_is_its_owners(user: Caller, conn: DictConnection) -> None:
    queries.insert_quarantine(
        conn,
        device_ids=[None],
        token_hashes=[hash_token("early-kit-0123456789")],
        topics=["device/sck/+/readings/raw"],
        payloads=[b"{t:2026-01-15T08:30:00Z,55:21.4,56:48}"],
        reasons=["unknown_token"],
        details=["no device has this token, or it has expired"],
    )
    assert inbox(user) == []
    device = user.register_device(device_token="early-kit-0123456789")

    (item,) = inbox(user)

    assert item["payload"] == "{t:2026-01-15T08:30:00Z,55:21.4,56:48}"
    assert user.post("/v0/quarantine/release", {"ids": [item["id"]]}).json["stored"] == 2
    assert user.history(device["id"], 55, **DAY) == [["2026-01-15T08:30:00Z", 21.4]]


def test_an_item_without_a_value_stays(user: Caller, conn: DictConnection) -> None:
    queries.insert_quarantine(
        conn,
        device_ids=[None],
        token_hashes=[hash_token("empty-kit-0123456789")],
        topics=["device/sck/+/readings"],
        payloads=[b'{"data":[]}'],
        reasons=["unknown_token"],
        details=["no device has this token, or it has expired"],
    )
    user.register_device(device_token="empty-kit-0123456789")
    (item,) = inbox(user)

    released = user.post("/v0/quarantine/release", {"ids": [item["id"]]}).json

    assert released["kept"] == [{"id": item["id"], "reason": "unreadable", "detail": "there is no value in it"}]
    assert [item["id"] for item in inbox(user)] == [item["id"]]


def test_an_item_that_the_database_refuses_stays_and_costs_only_itself(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    values = [-7, -8, -999]
    send(user, device, *((f"2026-01-15T08:3{minute}:00Z", "picky", value) for minute, value in enumerate(values)))
    sensor_id = insert_sensor(conn, {"name": "Picky", "description": "", "default_key": "picky"})
    conn.execute("ALTER TABLE components ADD CONSTRAINT refuses CHECK (latest_value <> -999)")
    try:
        released = user.post("/v0/quarantine/release", {"ids": [item["id"] for item in inbox(user)]}).json
        (item,) = inbox(user)
        alone = user.post("/v0/quarantine/release", {"ids": [item["id"]]}).json
    finally:
        conn.execute("ALTER TABLE components DROP CONSTRAINT refuses")

    assert (released["stored"], alone["stored"]) == (2, 0)
    assert released["kept"] == alone["kept"]
    assert [(kept["id"], kept["reason"]) for kept in alone["kept"]] == [(item["id"], "refused_by_database")]
    assert sorted(row[1] for row in user.history(device["id"], sensor_id, **DAY)) == [-8, -7]


def test_an_item_is_dropped_for_good(user: Caller, device: dict[str, Any]) -> None:
    send(user, device, ("2026-01-15T08:30:00Z", 9998, 1))
    (item,) = inbox(user)

    assert user.delete(f"/v0/quarantine/{item['id']}").json == {"message": "OK"}
    assert inbox(user) == []
    assert user.delete(f"/v0/quarantine/{item['id']}").status_code == 404


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["x"]}, {"ids": [0]}, {"ids": [1], "shift_seconds": 1e99}])
def test_a_release_that_says_nothing_sensible_is_refused(app: Flask, user: Caller, body: dict[str, Any]) -> None:
    assert user.post("/v0/quarantine/release", body).status_code == 422
