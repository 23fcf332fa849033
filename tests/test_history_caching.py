"""History is cached as HTTP means it: an ETag stands for the data, and a closed window keeps its own until dirtied."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from readings import receive
from waiting import refresh_all
from werkzeug.test import TestResponse

from sql import DictConnection

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY = {"from": "2026-01-15", "to": "2026-01-16"}


@pytest.fixture
def device_id(user: Caller, conn: DictConnection) -> int:
    """A device with one old reading, in a database whose horizon is a quarter of an hour ago."""
    device_id = int(user.register_device()["id"])
    receive(conn, device_id, s55=[(NOON, 1.0)])
    refresh_all(conn)
    return device_id


Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(anybody: Caller, device_id: int) -> Ask:
    def ask(etag: str | None = None, **query: Any) -> TestResponse:
        query = {"sensor_id": 55, "rollup": "1h", **query}
        headers = {"If-None-Match": etag} if etag else {}
        return anybody.get(f"/v0/devices/{device_id}/readings", query_string=query, headers=headers)

    return ask


def test_what_has_not_changed_is_not_sent_again(ask: Ask) -> None:
    first = ask(**DAY)
    again = ask(first.headers["ETag"], **DAY)

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "public, no-cache"


def test_a_closed_window_stays_the_same_while_new_readings_come(ask: Ask, device_id: int, conn: DictConnection) -> None:
    etag = ask(**DAY).headers["ETag"]

    receive(conn, device_id, s55=[(datetime.now(UTC), 5.0)])

    assert ask(etag, **DAY).status_code == 304


def test_a_late_reading_makes_a_closed_window_new_at_once(ask: Ask, device_id: int, conn: DictConnection) -> None:
    etag = ask(**DAY).headers["ETag"]

    receive(conn, device_id, s55=[(NOON + timedelta(minutes=1), 3.0)])
    changed = ask(etag, **DAY)

    assert changed.status_code == 200
    assert changed.json["readings"] == [["2026-01-15T12:00:00Z", 2.0]]


def test_a_late_reading_does_so_among_new_ones_too(ask: Ask, device_id: int, conn: DictConnection) -> None:
    etag = ask(**DAY).headers["ETag"]

    receive(conn, device_id, s55=[(NOON + timedelta(minutes=1), 3.0), (datetime.now(UTC), 4.0)])

    assert ask(etag, **DAY).json["readings"] == [["2026-01-15T12:00:00Z", 2.0]]


def test_a_component_that_is_made_makes_a_closed_window_new(ask: Ask, device_id: int, conn: DictConnection) -> None:
    unknown = ask(sensor_id=56, **DAY)
    assert unknown.json["component_id"] is None

    receive(conn, device_id, s56=[(datetime.now(UTC), 48.0)])

    assert ask(unknown.headers["ETag"], sensor_id=56, **DAY).json["sensor_key"] == "h"


def test_a_refresh_changes_no_answer_and_so_no_etag(ask: Ask, device_id: int, conn: DictConnection) -> None:
    receive(conn, device_id, s55=[(NOON + timedelta(minutes=1), 3.0)])
    etag = ask(**DAY).headers["ETag"]

    refresh_all(conn)

    assert ask(etag, **DAY).status_code == 304


def test_an_open_window_is_new_with_each_reading(ask: Ask, device_id: int, conn: DictConnection) -> None:
    first = ask()
    assert ask(first.headers["ETag"]).status_code == 304

    receive(conn, device_id, s55=[(datetime.now(UTC), 5.0)])

    assert ask(first.headers["ETag"]).status_code == 200


class Today(datetime):
    """A clock that stands still, lest a second go by between two questions."""

    stands_at = datetime.now(UTC)

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return cls.stands_at


class InTwoDays(Today):
    stands_at = Today.stands_at + timedelta(days=2)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "2026-01-15"}, 304),
        ({"from": "2026-01-15", "coverage": "true"}, 200),  # more readings are expected by then
        ({"from": "2026-01-15", "all_intervals": "true"}, 200),  # there are more buckets by then
        ({"from": "2026-01-15", "fill": "null"}, 200),
        ({"relative": "9999d"}, 200),  # it begins later
    ],
)
def test_an_open_window_is_new_with_time_where_the_answer_is(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any], status: int
) -> None:
    monkeypatch.setattr("app.api.readings.datetime", Today)
    etag = ask(rollup="1d", **query).headers["ETag"]
    assert ask(etag, rollup="1d", **query).status_code == 304

    monkeypatch.setattr("app.api.readings.datetime", InTwoDays)

    assert ask(etag, rollup="1d", **query).status_code == status


def test_a_summary_is_new_with_each_reading(anybody: Caller, device_id: int, conn: DictConnection) -> None:
    address = f"/v0/devices/{device_id}/readings/summary"
    etag = {"If-None-Match": anybody.get(address).headers["ETag"]}
    assert anybody.get(address, headers=etag).status_code == 304

    receive(conn, device_id, s55=[(datetime.now(UTC), 5.0)])

    assert anybody.get(address, headers=etag).json["count"] == 2


def test_a_reading_sent_again_changes_nothing(ask: Ask, device_id: int, conn: DictConnection) -> None:
    etag = ask(**DAY).headers["ETag"]

    receive(conn, device_id, s55=[(NOON, 1.0)])

    assert ask(etag, **DAY).status_code == 304


@pytest.mark.parametrize("other", [{"rollup": "2h"}, {"function": "max"}, {"tz": "Europe/Madrid"}, {"sensor_id": 56}])
def test_another_question_has_another_etag(ask: Ask, other: dict[str, Any]) -> None:
    assert ask(ask(**DAY).headers["ETag"], **DAY, **other).status_code == 200


def test_a_private_devices_history_is_for_no_shared_cache(
    user: Caller, anybody: Caller, ask: Ask, device_id: int
) -> None:
    etag = ask(**DAY).headers["ETag"]
    user.patch(f"/v0/devices/{device_id}", {"is_private": True})

    stranger = ask(etag, **DAY)
    query = {"sensor_id": 55, "rollup": "1h", **DAY}
    owner = user.get(f"/v0/devices/{device_id}/readings", query_string=query)

    assert stranger.status_code == 403
    assert owner.headers["Cache-Control"] == "private, no-cache"
