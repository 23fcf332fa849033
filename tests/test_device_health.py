"""How a device is, in one answer."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from conftest import RunningBroker
from kits import publish
from readings import receive
from waiting import wait_for

from app.device_health import read_health
from sql import DictConnection

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def health(user: Caller, device: dict[str, Any]) -> dict[str, Any]:
    answer = user.get(f"/v0/devices/{device['id']}/health")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def test_a_device_that_was_never_heard_has_nothing_to_show(user: Caller, device: dict[str, Any]) -> None:
    shown = health(user, device)

    assert shown["last_seen_at"] is shown["last_reading_at"] is shown["battery"] is shown["clock"] is None
    assert (shown["coverage"]["ratio"], shown["coverage"]["components"]) == (None, [])
    assert (shown["errors"], shown["quarantine"]) == ({"open": 0, "latest": []}, {"count": 0, "reasons": []})
    assert shown["config"] == {"state": "none", "desired_version": None, "reported_version": None, "error": None}


@pytest.mark.usefixtures("ingestor")
def test_what_a_device_sends_shows_in_its_health(user: Caller, device: dict[str, Any], broker: RunningBroker) -> None:
    token, path = device["device_token"], f"/v0/devices/{device['id']}"
    ahead = datetime.now(UTC) + 2 * 60 * MINUTE
    publish(broker, token, "readings/raw", f"{{t:{ahead:%Y-%m-%dT%H:%M:%SZ},10:87,55:21.4,9999:1}}".encode())
    publish(broker, token, "errors", json.dumps([{"code": "E1", "component": "t", "message": "shorted"}] * 2).encode())
    wait_for(lambda: health(user, device)["errors"]["open"])
    user.put(f"{path}/config", {"publish_interval": 300})
    publish(broker, token, "config/reported", b'{"version":1,"error":"too slow"}')
    wait_for(lambda: health(user, device)["config"]["state"] == "refused")

    shown = health(user, device)

    assert abs(datetime.fromisoformat(shown["last_seen_at"]) - datetime.now(UTC)) < MINUTE
    assert 7100 < shown["clock"]["skew_seconds"] < 7201
    assert (shown["battery"]["key"], shown["battery"]["value"], shown["battery"]["unit"]) == ("bat", 87, "%")
    (error,) = shown["errors"]["latest"]
    assert (error["component"], error["code"], error["message"]) == ("t", "E1", "shorted")
    assert [(reason["reason"], reason["count"]) for reason in shown["quarantine"]["reasons"]] == [("unknown_sensor", 1)]
    assert shown["config"] == {"state": "refused", "desired_version": 1, "reported_version": 1, "error": "too slow"}


def test_coverage_is_of_the_last_day_by_component_and_together(device: dict[str, Any], conn: DictConnection) -> None:
    receive(
        conn,
        device["id"],
        s55=[(NOW - n * 10 * MINUTE, 20.0) for n in range(1, 200)],  # from more than a day ago
        s56=[(NOW - n * 10 * MINUTE, 50.0) for n in range(1, 73)],  # for half a day
    )
    conn.execute("UPDATE components SET interval = 600 WHERE device_id = %s", [device["id"]])

    coverage = read_health(conn, device, NOW)["coverage"]

    shown = {part["key"]: (part["n"], part["expected"], part["ratio"]) for part in coverage["components"]}
    assert shown == {"t": (144, 144, 1), "h": (72, 144, 0.5)}
    assert (coverage["since"], coverage["ratio"]) == (NOW - timedelta(days=1), 0.75)


def test_without_a_word_about_its_interval_a_components_own_rhythm_counts(
    device: dict[str, Any], conn: DictConnection
) -> None:
    minutes = [n for n in range(1, 1441) if n <= 720 or n % 720 == 0]  # silent for half a day
    receive(conn, device["id"], s55=[(NOW - n * MINUTE, 20.0) for n in minutes])

    (component,) = read_health(conn, device, NOW)["coverage"]["components"]

    assert (component["n"], component["expected"]) == (721, 1440)


def test_readings_that_were_stored_for_days_say_nothing_of_the_clock(user: Caller, device: dict[str, Any]) -> None:
    data = [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 1}]}]
    assert user.post(f"/v0/devices/{device['id']}/readings", {"data": data}).status_code == 200

    shown = health(user, device)

    assert shown["last_seen_at"] is not None
    assert shown["clock"] is None


def test_errors_that_are_resolved_are_no_longer_in_it(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    conn.execute(
        "INSERT INTO device_errors (device_id, code, hour, count, first_time, last_time)"
        " SELECT %s, code, hour, 2, hour, hour FROM generate_series(%s, %s, interval '1 hour') AS hour,"
        " unnest(ARRAY['E1', 'E2']) AS code",
        [device["id"], NOW, NOW + 2 * 60 * MINUTE],
    )
    open_errors = health(user, device)["errors"]
    ids = [error["id"] for error in user.get(f"/v0/devices/{device['id']}/errors").json]

    user.post(f"/v0/devices/{device['id']}/errors/resolve", {"ids": ids})

    assert (open_errors["open"], [error["count"] for error in open_errors["latest"]]) == (2, [6, 6])
    assert all("total" not in error for error in open_errors["latest"])
    assert health(user, device)["errors"] == {"open": 0, "latest": []}


def test_what_was_kept_aside_on_the_last_day_is_counted_by_its_reason_the_most_common_first(
    device: dict[str, Any], conn: DictConnection
) -> None:
    conn.execute(
        "INSERT INTO quarantine (device_id, topic, payload, reason, detail, received_at)"
        " SELECT %s, 't', convert_to(ago::text, 'UTF8'), reason, '', %s - ago * interval '1 minute'"
        " FROM (VALUES ('no_time', 1441), ('no_time', 1439), ('unreadable', 5), ('unreadable', 1)) AS v (reason, ago)",
        [device["id"], NOW],
    )

    kept = read_health(conn, device, NOW)["quarantine"]

    assert [(reason["reason"], reason["count"]) for reason in kept["reasons"]] == [("unreadable", 2), ("no_time", 1)]
    assert (kept["count"], kept["reasons"][0]["last_received_at"]) == (3, NOW - MINUTE)
