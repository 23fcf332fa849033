"""Live streams with their clocks set: the bell, heartbeats, ends, pages and limits, which take long in production."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from queue import Empty
from typing import Any

import jwt
import pytest
from caller import PASSWORD, Caller, set_role
from conftest import RunningBroker, RunningIngestor
from flask import Flask
from kits import publish
from serving import served_here
from streams import Said, Stream, datapoints_of, point, send
from waiting import wait_for

from app.config import Config
from app.factory import create_app
from app.jobs import uploads
from app.jobs.onboarding import adopt_overtaken, purge_orphans
from app.live import hub, journal, listener
from ingestor.tokens import hash_token
from sql import DictConnection, queries

FAR_AWAY_S = 3600.0
SOON_S = 0.05
END = "your token or session has ended: sign in again"
LINES = b"TIME,TEMP\nISO 8601,C\nTime,Temperature\n,55\n"


@pytest.fixture
def app(config: Config) -> Flask:
    """An API whose streams have not begun, so that they take the clocks that a test sets."""
    return create_app(replace(config, pool_size=2))


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the API is served, by this process."""
    with served_here(app) as address:
        yield address


def sign_in(user: Caller) -> str:
    """Open another session and return its access token."""
    session = user.post("/v0/sessions", {"username": user.user["username"], "password": PASSWORD})
    return str(session.json["access_token"])


def wait_until_heard(stream: Stream, ring: Callable[[], object]) -> None:
    """Ring until a stream has said what that was about: from then on it misses no ring."""
    for _ in range(20):
        ring()
        try:
            stream.next(1)
        except Empty:
            continue
        return
    pytest.fail("no bell was heard")


class Doors:
    """The ways by which a reading of half past eight comes in."""

    def __init__(self, user: Caller, device: dict[str, Any], conn: DictConnection, broker: RunningBroker) -> None:
        self._user = user
        self._device = device
        self._conn = conn
        self._broker = broker

    def readings(self) -> None:
        send(self._user, self._device["id"], t08_30=21.4)

    def kit_1(self) -> None:
        mac = f"00:06:66:{self._device['id'].to_bytes(3, 'big').hex(':')}"
        assert self._user.patch(f"/v0/devices/{self._device['id']}", {"mac_address": mac}).status_code == 200
        data = '[{"temp":"25768","timestamp":"2026-01-15 08:30:00"}]'
        self._user.put("/add", headers={"X-SmartCitizenMacADDR": mac, "X-SmartCitizenData": data})

    def upload(self) -> None:
        file = LINES + b"2026-01-15T08:30:00Z,21.4\n"
        uploads.run(self._user.post(f"/v0/devices/{self._device['id']}/uploads", data=file).json["id"])

    def release(self) -> None:
        reading = {"recorded_at": "2126-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 21.4}]}
        self._user.post(f"/v0/devices/{self._device['id']}/readings", {"data": [reading]})
        (item,) = self._user.get("/v0/quarantine", query_string={"device_id": self._device["id"]}).json
        hundred_years = datetime(2026, 1, 15, tzinfo=UTC) - datetime(2126, 1, 15, tzinfo=UTC)
        asked = {"ids": [item["id"]], "shift_seconds": int(hundred_years.total_seconds())}
        assert self._user.post("/v0/quarantine/release", asked).json["stored"] == 1

    def overtaken(self) -> None:
        queries.insert_quarantine(
            self._conn,
            device_ids=[None],
            token_hashes=[hash_token(self._device["device_token"])],
            topics=["device/sck/+/readings/raw"],
            payloads=[b"{t:2026-01-15T08:30:00Z,55:21.4}"],
            reasons=["unknown_token"],
            details=[""],
        )
        adopt_overtaken()

    def mqtt(self) -> None:
        publish(self._broker, self._device["device_token"], "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")


@pytest.mark.parametrize("door", ["readings", "kit_1", "upload", "release", "overtaken", "mqtt"])
def test_whatever_door_a_reading_comes_in_by_a_bell_is_rung(
    app: Flask,
    address: str,
    user: Caller,
    conn: DictConnection,
    broker: RunningBroker,
    config: Config,
    worker_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    door: str,
) -> None:
    """Without one this server would look an hour later."""
    monkeypatch.setattr(hub, "_LOOK_EVERY_S", FAR_AWAY_S)
    device = user.register_device(kit_id=3)
    with ExitStack() as stack:
        if door == "mqtt":
            ingestor = RunningIngestor(config.database_url, broker.platform_url, REDIS_URL=config.redis_url)
            stack.callback(ingestor.stop)
            ingestor.start()
            ingestor.wait_until_ready()
        stream = stack.enter_context(Stream(address, device_id=device["id"]))
        values = iter(range(20))
        wait_until_heard(stream, lambda: send(user, device["id"], t08_00=next(values)))

        getattr(Doors(user, device, conn, broker), door)()

        while all(time != "2026-01-15T08:30:00Z" for _, time, _, _ in datapoints_of(stream.next())):
            pass


def test_what_a_kit_said_before_it_was_registered_is_heard_when_it_is(
    app: Flask, address: str, user: Caller, anybody: Caller, conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_LOOK_EVERY_S", FAR_AWAY_S)
    other = user.register_device()
    begun = anybody.post("/v0/onboarding/device", {"name": "Roof"}).json
    queries.insert_quarantine(
        conn,
        device_ids=[None],
        token_hashes=[hash_token(begun["device_token"])],
        topics=["device/sck/+/readings/raw"],
        payloads=[b"{t:2026-01-15T08:30:00Z,55:21.4}"],
        reasons=["unknown_token"],
        details=[""],
    )
    with Stream(address) as stream:
        values = iter(range(20))
        wait_until_heard(stream, lambda: send(user, other["id"], t08_00=next(values)))
        session = {"OnboardingSession": begun["onboarding_session"]}
        device = user.post("/v0/onboarding/register", headers=session).json

        while all(heard != point(device, "08:30", 21.4) for heard in datapoints_of(stream.next())):
            pass


def test_a_quiet_stream_is_kept_open_and_its_position_young(
    address: str, user: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is cut off after a quiet day has missed nothing, and must not be told that they may have."""
    monkeypatch.setattr(hub, "_HEARTBEAT_S", SOON_S)
    device, other = user.register_device(), user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        for minute in range(3):
            before = stream.last_event_id
            send(user, other["id"], **{f"t08_{minute:02}": 1})
            wait_for(lambda before=before: stream.last_event_id != before)
        assert stream.heard.empty()


@pytest.mark.parametrize("shown", ["session", "private token", "password"])
def test_a_stream_on_which_nothing_comes_ends_too_with_what_opened_it(
    address: str, user: Caller, conn: DictConnection, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    monkeypatch.setattr(hub, "_HEARTBEAT_S", SOON_S)
    device = user.register_device(is_private=True)
    made = user.post("/v0/me/tokens", {"name": "wall", "scopes": ["readings:read"]}).json
    session = sign_in(user)
    password = b64encode(f"{user.user['username']}:{PASSWORD}".encode()).decode()
    given = {
        "session": f"Bearer {session}",
        "private token": f"Bearer {made['token']}",
        "password": f"Basic {password}",
    }
    with Stream(address, headers={"Authorization": given[shown]}, device_id=device["id"]) as stream:
        assert stream.status == 200
        assert stream.hears_nothing(0.5)
        if shown == "session":
            Caller(user.app, session).delete("/v0/sessions")
        elif shown == "private token":
            user.delete(f"/v0/me/tokens/{made['id']}")
        else:
            conn.execute("UPDATE users SET archived_at = now() WHERE id = %s", [user.user["id"]])

        assert stream.next() == Said("end", {"message": END}, stream.last_event_id)
        assert stream.has_ended.wait(5)


def test_a_stream_ends_when_its_access_token_expires(
    address: str, user: Caller, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_HEARTBEAT_S", SOON_S)
    claims = jwt.decode(sign_in(user), app.config["JWT_SECRET_KEY"], algorithms=["HS256"])
    claims["exp"] = datetime.now(UTC) + timedelta(seconds=2)
    token = jwt.encode(claims, app.config["JWT_SECRET_KEY"], algorithm="HS256")

    with Stream(address, token=token) as stream:
        assert stream.status == 200
        assert stream.next() == Said("end", {"message": END}, stream.last_event_id)


def test_an_admin_who_becomes_a_citizen_hears_of_nothing_private_any_more(
    address: str, user: Caller, admin: Caller, conn: DictConnection
) -> None:
    private, public = user.register_device(is_private=True), user.register_device()
    with Stream(address, token=admin.access_token) as stream:
        send(user, private["id"], t08_30=1)
        assert stream.datapoints(1) == [point(private, "08:30", 1)]

        set_role(conn, admin.user["id"], "citizen")
        send(user, private["id"], t08_31=2)
        send(user, public["id"], t08_31=3)

        assert stream.datapoints(1) == [point(public, "08:31", 3)]


def test_who_waits_for_a_device_whose_session_is_over_is_told(
    address: str, anybody: Caller, conn: DictConnection, worker_env: dict[str, str]
) -> None:
    session = anybody.post("/v0/onboarding/device", {"name": "Roof"}).json["onboarding_session"]
    with Stream(address, "/v0/onboarding/device/stream", headers={"OnboardingSession": session}) as stream:
        conn.execute(
            "UPDATE orphan_devices SET updated_at = now() - interval '8 days' WHERE session_hash = %s",
            [hash_token(session)],
        )
        purge_orphans()

        assert stream.next().data == {"message": "the onboarding session is over"}
        assert stream.has_ended.wait(5)


def test_a_server_takes_so_many_listeners_and_another_when_one_has_gone(
    address: str, user: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_LISTENERS", 1)
    monkeypatch.setattr(hub, "_HEARTBEAT_S", SOON_S)  # by which it learns that one has gone

    def status() -> int:
        with Stream(address) as stream:
            return stream.status

    device = user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        send(user, device["id"], t08_30=1)
        assert stream.datapoints(1) == [point(device, "08:30", 1)]
        with Stream(address) as refused:
            assert refused.status == 503
            assert "try again" in refused.body["message"]
    wait_for(lambda: status() == 200)


def test_what_was_missed_comes_in_pages_of_some_batches_and_some_datapoints(
    address: str, user: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        last_event_id = stream.last_event_id
    for minute in range(12):
        send(user, device["id"], **{f"t{hour:02}_{minute:02}": 1 for hour in range(1 + minute % 4)})
    expected = [point(device, f"{hour:02}:{minute:02}", 1) for minute in range(12) for hour in range(1 + minute % 4)]

    for name, most in (("_MOST_ARRIVALS", 2), ("_MOST_DATAPOINTS", 3)):
        with monkeypatch.context() as small:
            small.setattr(journal, name, most)
            with Stream(address, device_id=device["id"], last_event_id=last_event_id) as stream:
                assert stream.datapoints(len(expected)) == expected
                assert stream.hears_nothing()


def test_those_who_listen_lose_nothing_while_somebody_else_catches_up(
    address: str, user: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, other = user.register_device(), user.register_device()
    read_page = hub.read_page

    def slow(conn: DictConnection, seen: Any, device_ids: Any, wants: Any) -> Any:
        if device_ids == {other["id"]}:  # somebody catches up
            monkeypatch.setattr(hub, "read_page", read_page)
            send(user, device["id"], t08_31=2)
        return read_page(conn, seen, device_ids, wants)

    with Stream(address, device_id=device["id"]) as stream:
        send(user, device["id"], t08_30=1)
        assert stream.datapoints(1) == [point(device, "08:30", 1)]

        monkeypatch.setattr(hub, "read_page", slow)
        with Stream(address, device_id=other["id"], last_event_id=stream.last_event_id):
            assert stream.datapoints(1) == [point(device, "08:31", 2)]


def test_who_takes_nothing_for_a_minute_is_cut_off(app: Flask, user: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_HEARTBEAT_S", SOON_S)
    monkeypatch.setattr(hub, "_STALLED_S", SOON_S)
    monkeypatch.setattr(listener, "_MOST_WAITING", 1000)
    monkeypatch.setattr(listener, "_FEW_WAITING", 100)
    device, streams = user.register_device(), app.extensions["streams"]
    parts = iter(app.test_client().get(f"/v0/stream?device_id={device['id']}").response)
    next(parts)
    day = 0

    def is_cut_off() -> bool:
        nonlocal day
        day += 1
        times = [f"2026-01-{day:02}T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(1440)]
        data = [{"recorded_at": time, "sensors": [{"id": 55, "value": 1}]} for time in times]
        user.post(f"/v0/devices/{device['id']}/readings", {"data": data})
        return day > 1 and not streams._listeners

    heard = next(parts)  # it listens now, and does not read on
    wait_for(is_cut_off)

    assert heard
    for _ in parts:  # what it would still have got
        pass
