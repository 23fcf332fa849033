"""What the platform says of itself: where things are, which version runs, and counters of what is really there."""

import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import pytest
from caller import Caller
from flask import Flask
from waiting import refresh_all

from ingestor.intake import Message, read_messages
from ingestor.known import Known
from ingestor.writer import Writer
from sql import DictConnection

COUNTS = {"now", "last_hour", "today", "this_month", "this_year", "all_time"}


@pytest.fixture
def count(app: Flask, anybody: Caller) -> Any:
    """Asks for counters that are not a minute old."""

    def count() -> dict[str, Any]:
        app.extensions.pop("metrics", None)
        answer = anybody.get("/v0/metrics")
        assert answer.status_code == 200, answer.text
        return answer.json

    return count


@pytest.mark.parametrize("path", ["/", "/v0", "/v0/"])
def test_home_says_where_things_are(anybody: Caller, path: str) -> None:
    answer = anybody.get(path)

    contract = {"notice", "api_documentation_url", "current_user_url", "components_url", "devices_url", "version_git"}
    contract |= {"measurements_url", "sensors_url", "users_url", "tags_url", "tags_sensors_url"}
    assert set(answer.json) == contract | {"experiments_url", "kits_url", "search_url"}
    assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_every_address_of_home_answers(user: Caller) -> None:
    for name, address in user.get("/v0/").json.items():
        if name.endswith("_url"):
            assert user.get(address.removeprefix("http://localhost")).status_code == 200, name


def test_the_version_is_that_of_the_package(anybody: Caller) -> None:
    answer = anybody.get("/v0/version").json

    assert set(answer) == {"env", "version", "python", "ruby", "rails", "branch", "revision"}
    assert (answer["env"], answer["version"]) == ("production", version("almanac"))


def test_devices_and_users_are_counted_as_they_are(count: Any, user: Caller, conn: DictConnection) -> None:
    before = count()
    user.register_device(is_private=True)
    heard = user.register_device()["id"]
    conn.execute(
        "UPDATE devices SET last_reading_at = now() - INTERVAL '30 minutes', is_test = true WHERE id = %s", [heard]
    )
    archived = user.register_device()["id"]
    conn.execute("UPDATE devices SET archived_at = now() WHERE id = %s", [archived])

    after = count()

    assert set(after) == {"devices", "users"}
    assert set(after["devices"]) == {"total", "private", "test", "online", "readings"}
    assert set(after["devices"]["online"]) == COUNTS
    assert after["users"] == {"total": before["users"]["total"], "online": {"now": None}}
    grown = {key: after["devices"][key] - before["devices"][key] for key in ("total", "private", "test")}
    assert grown == {"total": 2, "private": 1, "test": 1}
    online = {key: after["devices"]["online"][key] - before["devices"]["online"][key] for key in COUNTS}
    assert (online["now"], online["last_hour"], online["all_time"]) == (0, 1, 1)


def test_counters_may_be_a_minute_old(count: Any, anybody: Caller, user: Caller) -> None:
    before = count()
    user.register_device()

    answer = anybody.get("/v0/metrics")

    assert answer.json == before
    assert answer.headers["Cache-Control"] == "public, max-age=60"


def test_readings_are_counted_before_and_after_a_refresh_and_whatever_their_age(
    count: Any, user: Caller, conn: DictConnection
) -> None:
    refresh_all(conn)
    before = count()["devices"]["readings"]
    hear_from(
        conn, user.register_device()["device_token"], timedelta(minutes=1), timedelta(minutes=30), timedelta(days=800)
    )
    fresh = count()["devices"]["readings"]
    refresh_all(conn)
    refreshed = count()["devices"]["readings"]

    assert grown(before["good"], fresh["good"], "now", "last_hour") == [1, 2]
    assert grown(before["good"], refreshed["good"], "now", "last_hour") == [1, 2]
    # at least: where a quarter of an hour has passed meanwhile, what others sent in it counts from now on too
    assert grown(before["good"], refreshed["good"], "all_time")[0] >= 3
    assert refreshed["total"] == refreshed["good"]["all_time"] + refreshed["bad"]["all_time"]


def hear_from(conn: DictConnection, token: str, *ages: timedelta) -> None:
    """Store a temperature of each of these ages."""
    now, known = datetime.now(UTC), Known()
    data = [{"recorded_at": f"{now - age:%Y-%m-%dT%H:%M:%SZ}", "sensors": [{"id": 55, "value": 21.5}]} for age in ages]
    message = Message(f"device/sck/{token}/readings", json.dumps({"data": data}).encode())
    Writer(known).write(conn, read_messages(conn, [message], known, now))


def test_what_is_in_quarantine_is_counted_as_bad(count: Any, conn: DictConnection) -> None:
    before = count()["devices"]["readings"]["bad"]
    conn.execute(
        "INSERT INTO quarantine (topic, payload, reason, detail) VALUES ('t', %s, 'r', 'd')",
        [str(datetime.now(UTC)).encode()],
    )

    assert grown(before, count()["devices"]["readings"]["bad"], "now", "today", "all_time") == [1, 1, 1]


def grown(before: dict[str, int], after: dict[str, int], *keys: str) -> list[int]:
    return [after[key] - before[key] for key in keys]
