"""Live streams through a real server: who may listen to what, and until when."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from caller import PASSWORD, Caller
from conftest import RunningBroker, RunningIngestor
from streams import Stream, point, send, served

from app.config import Config
from scripts.firmware import Firmware
from scripts.simulate_kit import Kit, run


@pytest.fixture(scope="module")
def address(config: Config) -> Iterator[str]:
    """Where the API is served."""
    with served(config) as address:
        yield address


def test_nothing_of_a_private_device_reaches_anybody_else(
    address: str, user: Caller, new_user: Callable[..., Caller], admin: Caller
) -> None:
    private, public = user.register_device(is_private=True), user.register_device()
    place = {"latitude": 10.5, "longitude": 10.5}
    for device in (private, public):
        assert user.patch(f"/v0/devices/{device['id']}", place).status_code == 200
    other = new_user()
    with ExitStack() as stack:
        owners, admins, others, nobodys = (
            stack.enter_context(Stream(address, token=caller and caller.access_token, bbox="10,10,11,11"))
            for caller in (user, admin, other, None)
        )
        send(user, private["id"], t08_30=1)
        send(user, public["id"], t08_30=2)
        expected = [point(private, "08:30", 1), point(public, "08:30", 2)]
        assert owners.datapoints(2) == admins.datapoints(2) == expected
        assert others.datapoints(1) == nobodys.datapoints(1) == expected[1:]

        before = others.last_event_id
        assert user.patch(f"/v0/devices/{public['id']}", {"is_private": True}).status_code == 200
        send(user, public["id"], t08_31=3)
        send(user, private["id"], t08_31=3)
        assert sorted(owners.datapoints(2)) == sorted([point(private, "08:31", 3), point(public, "08:31", 3)])
        assert others.hears_nothing()
        assert nobodys.hears_nothing(0)

    with Stream(address, bbox="10,10,11,11", last_event_id=before) as stream:
        assert stream.hears_nothing()
    for device in (private, public):
        with Stream(address, token=other.access_token, device_id=device["id"]) as stream:
            assert (stream.status, stream.body["message"]) == (403, f"device {device['id']} is private")


def test_a_stream_ends_with_the_session_or_token_that_opened_it(address: str, user: Caller) -> None:
    device = user.register_device(is_private=True)
    made = user.post("/v0/me/tokens", {"name": "wall", "scopes": ["readings:read"]}).json
    sessions = user.post("/v0/sessions", {"username": user.user["username"], "password": PASSWORD}).json
    with (
        Stream(address, token=made["token"], device_id=device["id"]) as by_token,
        Stream(address, token=sessions["access_token"], device_id=device["id"]) as by_session,
    ):
        send(user, device["id"], t08_30=1)
        assert by_token.datapoints(1) == by_session.datapoints(1) == [point(device, "08:30", 1)]
        assert user.delete(f"/v0/me/tokens/{made['id']}").status_code < 300
        Caller(user.app, sessions["access_token"]).delete("/v0/sessions")

        send(user, device["id"], t08_31=2)

        for stream in (by_token, by_session):
            said = stream.next()
            assert (said.name, said.data) == ("end", {"message": "your token or session has ended: sign in again"})
            assert stream.has_ended.wait(5)
    with Stream(address, token=made["token"]) as stream:
        assert stream.status == 401


def test_a_device_is_set_up_and_its_first_words_are_seen_live(
    address: str, anybody: Caller, user: Caller, broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    begun = anybody.post("/v0/onboarding/device", {"name": "Roof"}).json
    session = {"OnboardingSession": begun["onboarding_session"]}
    wake, stop = threading.Event(), threading.Event()
    now = datetime.now(UTC).replace(microsecond=0)
    kit = Kit(Firmware(begun["device_token"], "2.1", interval_s=1, seed=7), now, as_json=False, wake=wake)
    host, port = broker.kit_url.removeprefix("mqtt://").split(":")
    sending = threading.Thread(target=run, args=([kit], 50, None, stop, wake, lambda: None))
    try:
        with Stream(address, "/v0/onboarding/device/stream", headers=session) as stream:
            assert stream.hears_nothing()
            kit.connect(host, int(port))
            sending.start()  # a person has typed the token into it

            said = stream.next()
            assert (said.name, said.data["onboarding_session"]) == ("token-received", begun["onboarding_session"])
            assert stream.has_ended.wait(5)
        registered = anybody.post("/v0/onboarding/register", headers=session)
        assert registered.status_code == 401  # only now does the app ask for a login
        device = user.post("/v0/onboarding/register", headers=session).json
        with Stream(address, token=user.access_token, device_id=device["id"]) as stream:
            assert stream.datapoints(7)[0][0] == device["id"]
    finally:
        stop.set()
        wake.set()
        if sending.ident:
            sending.join(10)
    first = min(time for time, _ in user.history(device["id"], 55, rollup="0s"))
    assert first == f"{now:%Y-%m-%dT%H:%M:%SZ}"  # what it said before it was anybody's is kept


def test_without_its_session_nobody_waits_for_a_device(address: str) -> None:
    with Stream(address, "/v0/onboarding/device/stream", headers={"OnboardingSession": "x"}) as stream:
        assert stream.status == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [({"device_id": "x"}, "device_id"), ({"sensor_id": "0"}, "sensor_id"), ({"bbox": "1,2,3"}, "bbox")],
)
def test_a_filter_that_is_none_is_refused(address: str, query: dict[str, str], field: str) -> None:
    with Stream(address, **query) as stream:
        assert stream.status == 400
        assert list(stream.body["errors"]) == [field]


def test_a_device_that_is_not_there_cannot_be_listened_to(address: str, user: Caller) -> None:
    device = user.register_device()
    user.delete(f"/v0/devices/{device['id']}")

    with Stream(address, device_id=device["id"]) as stream:
        assert (stream.status, stream.body["id"]) == (404, "record_not_found")


def test_a_token_without_the_scope_opens_no_stream(address: str, user: Caller) -> None:
    token = user.post("/v0/me/tokens", {"name": "wall", "scopes": ["devices:read"]}).json["token"]

    with Stream(address, token=token) as stream:
        assert stream.status == 403
