"""What devices say is wrong with them: counted by code and hour, listed, resolved."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from waiting import wait_for

from ingestor.reports import MOST_ERRORS, parse_errors
from sql import DictConnection, queries

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EARLIEST, LATEST = NOW - timedelta(days=365), NOW + timedelta(days=1)


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def report(conn: DictConnection, device: dict[str, Any], *errors: tuple[str | None, str, str, str | None]) -> None:
    components, codes, times, messages = map(list, zip(*errors, strict=True))
    queries.store_device_errors(
        conn,
        device_ids=[device["id"]] * len(errors),
        components=components,
        codes=codes,
        times=[datetime.fromisoformat(time) for time in times],
        messages=messages,
    )


def listed(user: Caller, device: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = user.get(f"/v0/devices/{device['id']}/errors", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json
    return items


@pytest.mark.usefixtures("ingestor")
def test_errors_of_a_device_are_listed_one_or_many_to_a_message(
    user: Caller, device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    token = device["device_token"]
    publish(broker, token, "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")
    one = {"time": "2026-03-01T10:05:00Z", "component": 55, "code": "no_answer", "message": "no ACK on the bus"}
    many = [{"time": "2026-03-01T10:06:00Z", "code": "sd_full"}, {**one, "time": "2026-03-01T10:07:00Z"}, {"code": ""}]

    publish(broker, token, "errors", json.dumps(one).encode(), json.dumps(many).encode())

    wait_for(lambda: len(listed(user, device)) == 2 and listed(user, device)[0]["count"] == 2)
    sensor, card = listed(user, device)
    assert (sensor["component"], sensor["code"], sensor["message"]) == ("t", "no_answer", "no ACK on the bus")
    assert (sensor["first_time"], sensor["last_time"]) == ("2026-03-01T10:05:00Z", "2026-03-01T10:07:00Z")
    assert (card["component"], card["code"], card["message"], card["count"]) == (None, "sd_full", None, 1)
    (kept,) = user.get(f"/v0/quarantine?device_id={device['id']}").json
    assert (kept["reason"], kept["payload"]) == ("unreadable", '{"code": ""}')


def test_an_error_that_a_device_leaves_retained_is_not_counted_at_each_start_of_the_ingestor(
    user: Caller, device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    token = device["device_token"]
    publish(broker, token, "errors", b'{"code": "sd_full"}', retain=True)
    wait_for(lambda: listed(user, device))
    ingestor.stop()
    ingestor.start()
    ingestor.wait_until_ready()
    publish(broker, token, "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")
    wait_for(lambda: user.get(f"/v0/devices/{device['id']}").json["last_reading_at"])

    assert [error["count"] for error in listed(user, device)] == [1]


def test_an_error_is_counted_by_code_component_and_hour(
    user: Caller, conn: DictConnection, device: dict[str, Any]
) -> None:
    report(conn, device, ("t", "E1", "2026-03-01T10:05:00Z", "a"), ("t", "E1", "2026-03-01T10:59:59Z", "b"))
    report(conn, device, ("t", "E1", "2026-03-01T11:00:00Z", "c"), ("h", "E1", "2026-03-01T11:00:00Z", "d"))
    report(conn, device, ("h", "E2", "2026-03-01T11:00:00Z", "e"), ("h", "E1", "2026-03-01T11:30:00Z", "f"))

    counted = {
        (e["component"], e["code"], e["first_time"][11:13]): (e["count"], e["message"]) for e in listed(user, device)
    }

    assert counted == {
        ("t", "E1", "10"): (2, "b"),
        ("t", "E1", "11"): (1, "c"),
        ("h", "E1", "11"): (2, "f"),
        ("h", "E2", "11"): (1, "e"),
    }


def test_a_message_that_comes_twice_counts_once(user: Caller, conn: DictConnection, device: dict[str, Any]) -> None:
    for _ in range(3):
        report(conn, device, (None, "E1", "2026-03-01T10:05:00Z", "a"), (None, "E1", "2026-03-01T10:06:00Z", "a"))

    assert [error["count"] for error in listed(user, device)] == [2]


def test_errors_are_filtered_and_paged(user: Caller, conn: DictConnection, device: dict[str, Any]) -> None:
    report(
        conn,
        device,
        ("t", "E1", "2026-03-01T10:00:00Z", None),
        ("t", "E2", "2026-03-01T11:00:00Z", None),
        ("h", "E1", "2026-03-01T12:00:00Z", None),
    )
    newest = listed(user, device)[0]
    assert user.post(f"/v0/devices/{device['id']}/errors/resolve", {"ids": [newest["id"]]}).status_code == 200

    def found(**query: Any) -> list[tuple[str, str]]:
        return [(error["component"], error["code"]) for error in listed(user, device, **query)]

    assert found() == [("h", "E1"), ("t", "E2"), ("t", "E1")]
    assert found(state="open") == [("t", "E2"), ("t", "E1")]
    assert found(state="resolved") == [("h", "E1")]
    assert found(component="t", code="E1") == [("t", "E1")]
    assert found(per_page=1, page=2) == [("t", "E2")]
    assert user.get(f"/v0/devices/{device['id']}/errors?per_page=1").headers["Total"] == "3"


def test_a_resolved_error_that_comes_again_is_open_again(
    user: Caller, conn: DictConnection, device: dict[str, Any]
) -> None:
    report(conn, device, ("t", "E1", "2026-03-01T10:00:00Z", None))
    (error,) = listed(user, device)
    user.post(f"/v0/devices/{device['id']}/errors/resolve", {"ids": [error["id"]]})

    report(conn, device, ("t", "E1", "2026-03-01T10:00:00Z", None))
    assert listed(user, device, state="open") == [], "that one was known"
    report(conn, device, ("t", "E1", "2026-03-01T10:30:00Z", None))

    assert [(error["id"], error["count"]) for error in listed(user, device, state="open")] == [(error["id"], 2)]


def test_an_error_of_another_device_is_not_resolved_and_neither_are_the_others(
    user: Caller, new_user: Callable[..., Caller], conn: DictConnection, device: dict[str, Any]
) -> None:
    report(conn, device, ("t", "E1", "2026-03-01T10:00:00Z", None))
    other = new_user()
    theirs = other.register_device()
    report(conn, theirs, ("t", "E1", "2026-03-01T10:00:00Z", None))
    ids = [listed(user, device)[0]["id"], listed(other, theirs)[0]["id"]]

    assert user.post(f"/v0/devices/{device['id']}/errors/resolve", {"ids": ids}).status_code == 404
    assert other.get(f"/v0/devices/{device['id']}/errors").status_code == 403
    assert len(listed(user, device, state="open")) == len(listed(other, theirs, state="open")) == 1


@pytest.mark.parametrize("time", [None, "1970-01-01T00:00:05Z", "2106-02-07T06:28:15Z", "soon", True, 1e300])
def test_an_error_without_a_possible_time_has_that_of_its_arrival(time: Any) -> None:
    errors, flaws = parse_errors(json.dumps({"time": time, "code": "clock"}).encode(), EARLIEST, NOW, LATEST)

    assert ([error.time for error in errors], flaws) == ([NOW], [])


@pytest.mark.parametrize(
    "payload",
    [b"", b"E42", b"[1]", b'{"message":"no code"}', b'{"code":["a"]}', b'{"code":"%s"}' % (b"x" * 65), b"null"],
)
def test_what_is_no_error_is_kept_aside_whole(payload: bytes) -> None:
    errors, flaws = parse_errors(payload, EARLIEST, NOW, LATEST)

    assert errors == []
    assert [flaw.reason for flaw in flaws] == ["unreadable"]


def test_a_message_holds_a_hundred_errors_at_most() -> None:
    most = json.dumps([{"code": "E"}] * MOST_ERRORS).encode()
    more = json.dumps([{"code": "E"}] * (MOST_ERRORS + 1)).encode()

    assert len(parse_errors(most, EARLIEST, NOW, LATEST)[0]) == MOST_ERRORS
    assert [flaw.item for flaw in parse_errors(more, EARLIEST, NOW, LATEST)[1]] == [more]


def test_text_that_no_column_holds_is_cleaned() -> None:
    payload = b'{"code":"E\\u00001","message":"half \\ud800 a pair"}'

    (error,), _ = parse_errors(payload, EARLIEST, NOW, LATEST)

    assert (error.code, error.message) == ("E1", "half ? a pair")
