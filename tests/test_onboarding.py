"""Setting up a device, from an app's first call to readings under its owner's name."""

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from waiting import wait_for
from werkzeug.test import TestResponse

from app import adoption
from app.jobs.onboarding import adopt_overtaken, purge_orphans
from ingestor.tokens import hash_token
from sql import DictConnection, queries

INFO = b'{"time":"2026-11-22T18:30:05Z","hw_ver":"2.3","id":"6C4C1AF4","sam_ver":"0.9.11","mac":"5E:CF:7F:D1:75:78"}'
ORPHAN_KEYS = [
    "id",
    "name",
    "description",
    "exposure",
    "latitude",
    "longitude",
    "user_tags",
    "device_token",
    "onboarding_session",
    "created_at",
    "updated_at",
    "device_handshake",
]


DAY = {"from": "2026-01-15", "to": "2026-01-16"}


@pytest.fixture
def environment(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker has."""
    for name, value in {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "SECRET_KEY": "s" * 32}.items():
        monkeypatch.setitem(os.environ, name, value)


class App:
    """An app that sets up one device, before and after somebody has signed in."""

    def __init__(self, caller: Caller, **fields: Any) -> None:
        begun = caller.post("/v0/onboarding/device", fields)
        assert begun.status_code == 201, begun.text
        assert list(begun.json) == ["onboarding_session", "device_token"]
        self.caller = caller
        self.token: str = begun.json["device_token"]
        self.headers = {"OnboardingSession": begun.json["onboarding_session"]}

    def show(self) -> TestResponse:
        return self.caller.get("/v0/onboarding/device", headers=self.headers)

    def change(self, **fields: Any) -> TestResponse:
        return self.caller.patch("/v0/onboarding/device", fields, headers=self.headers)

    def register(self, caller: Caller) -> TestResponse:
        return caller.post("/v0/onboarding/register", headers=self.headers)


def keep_as_strangers(conn: DictConnection, *sent: tuple[App, bytes]) -> None:
    """Put what apps' devices have sent into quarantine, as an ingestor does while nobody knows their tokens."""
    queries.insert_quarantine(
        conn,
        device_ids=[None] * len(sent),
        token_hashes=[hash_token(app.token) for app, _ in sent],
        topics=["device/sck/+/readings/raw"] * len(sent),
        payloads=[payload for _, payload in sent],
        reasons=["unknown_token"] * len(sent),
        details=[""] * len(sent),
    )


def test_a_kit_is_set_up_and_loses_nothing_that_it_has_sent_meanwhile(
    anybody: Caller, user: Caller, broker: RunningBroker, ingestor: RunningIngestor, environment: None
) -> None:
    app = App(anybody)
    assert app.show().json["device_handshake"] is False

    publish(broker, app.token, "hello", f"{app.token}:Hello".encode())
    publish(broker, app.token, "info", INFO)
    publish(broker, app.token, "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.40,56:48.20}")
    wait_for(lambda: app.show().json["device_handshake"])
    publish(
        broker,
        app.token,
        "readings",
        b'{"data":[{"recorded_at":"2026-01-15T08:31:00Z","sensors":[{"id":55,"value":22}]}]}',
    )
    app.change(name="Roof", exposure="outdoor", latitude=41.39699, longitude=2.19456, user_tags="")
    registered = app.register(user)

    assert registered.status_code == 201, registered.text
    device_id = registered.json["id"]
    assert registered.json["device_token"] == app.token
    assert registered.json["location"]["city"] == "Barcelona"
    assert registered.json["hardware"]["last_status_message"]["hw_ver"] == "2.3"
    assert user.get(f"/v0/devices/{device_id}").json["owner"]["id"] == user.user["id"]
    assert app.show().status_code == app.register(user).status_code == 404
    publish(broker, app.token, "readings/raw", b"{t:2026-01-15T08:32:00Z,55:23}")

    def stored() -> list[float]:
        adopt_overtaken()  # a worker does so every minute
        return [value for _, value in user.history(device_id, 55, rollup="1m", **DAY)]

    wait_for(lambda: len(stored()) == 3)
    assert stored() == [21.4, 22.0, 23.0]


@pytest.mark.usefixtures("ingestor")
@pytest.mark.parametrize("poison", [b'{"hw_ver":"\\u0000"}', b'{"hw_ver":"\\ud800"}', b'{"hw_ver":NaN}'])
def test_a_message_that_no_database_keeps_is_in_no_devices_way(
    anybody: Caller, user: Caller, broker: RunningBroker, conn: DictConnection, poison: bytes
) -> None:
    app = App(anybody, name="Terrace")
    publish(broker, app.token, "info", poison)
    publish(broker, app.token, "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")
    hashed = [hash_token(app.token)]
    wait_for(lambda: len(conn.execute("SELECT FROM quarantine WHERE token_hash = %s", hashed).fetchall()) == 2)

    registered = app.register(user)

    assert registered.status_code == 201, registered.text
    device_id = registered.json["id"]
    assert user.history(device_id, 55, rollup="0s", **DAY) == [["2026-01-15T08:30:00Z", 21.4]]
    (item,) = user.get(f"/v0/quarantine?device_id={device_id}").json
    assert item["reason"] == "unreadable"


def test_a_kit_that_has_sent_for_days_before_it_is_registered_loses_nothing(
    user: Caller, anybody: Caller, conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_MOST_MESSAGES", 2)
    app = App(anybody, name="Terrace")
    keep_as_strangers(conn, *((app, b"{t:2026-01-15T08:3%d:00Z,55:%d}" % (minute, minute)) for minute in range(5)))

    device_id = app.register(user).json["id"]

    stored = [value for _, value in user.history(device_id, 55, rollup="0s", **DAY)]
    assert stored == [0, 1, 2, 3, 4]


def test_a_message_that_the_database_refuses_is_in_no_others_way(
    user: Caller, anybody: Caller, conn: DictConnection, environment: None
) -> None:
    apps = [App(anybody, name="Terrace"), App(anybody, name="Roof")]
    device_ids = [app.register(user).json["id"] for app in apps]
    payloads = [b"{t:2026-01-15T08:30:00Z,55:21.4}", b"{t:2026-01-15T08:31:00Z,55:22.5}"]
    refused = b"{t:2026-01-15T08:32:00Z,55:-999}"
    sent = [(apps[0], payloads[0]), (apps[0], refused), (apps[0], payloads[1]), (apps[1], payloads[0])]
    keep_as_strangers(conn, *sent)
    conn.execute("ALTER TABLE components ADD CONSTRAINT refuses CHECK (latest_value <> -999)")

    adopt_overtaken()

    conn.execute("ALTER TABLE components DROP CONSTRAINT refuses")
    stored = [[value for _, value in user.history(each, 55, rollup="0s", **DAY)] for each in device_ids]
    assert stored == [[21.4, 22.5], [21.4]]
    (item,) = user.get(f"/v0/quarantine?device_id={device_ids[0]}").json
    assert (item["reason"], item["payload"]) == ("refused_by_database", refused.decode())


def test_a_message_that_registering_has_overtaken_is_stored_all_the_same(
    user: Caller, anybody: Caller, conn: DictConnection, environment: None
) -> None:
    app = App(anybody, name="Roof")
    device_id = app.register(user).json["id"]
    for hours, value in ((0, 24), (-1, 99)):  # the second came under the same token before there was this device
        queries.insert_quarantine(
            conn,
            device_ids=[None],
            token_hashes=[hash_token(app.token)],
            topics=["device/sck/+/readings/raw"],
            payloads=[b"{t:2026-01-15T08:3%d:00Z,55:%d}" % (hours + 2, value)],
            reasons=["unknown_token"],
            details=[""],
        )
        conn.execute(
            "UPDATE quarantine SET received_at = now() + %s * interval '1 hour' WHERE token_hash = %s AND detail = ''",
            [hours, hash_token(app.token)],
        )
        conn.execute("UPDATE quarantine SET detail = 'seen' WHERE token_hash = %s", [hash_token(app.token)])

    adopt_overtaken()

    assert [value for _, value in user.history(device_id, 55, rollup="1m", **DAY)] == [24.0]


def test_a_draft_has_the_contracts_keys_and_is_filled_bit_by_bit(anybody: Caller) -> None:
    app = App(anybody, name="Roof")

    changed = app.change(description="South side", latitude=41.4, longitude=2.2)
    again = app.change(name="Balcony")

    assert re.fullmatch(r"[a-z0-9]{6}", app.token)
    assert list(changed.json) == list(again.json) == ORPHAN_KEYS
    assert (again.json["name"], again.json["description"], again.json["latitude"]) == ("Balcony", "South side", 41.4)
    assert again.json["user_tags"] is None
    assert again.json["device_token"] == app.token
    assert app.change(exposure="moon").status_code == 422


@pytest.mark.parametrize("header", [{}, {"OnboardingSession": "x"}, {"OnboardingSession": "0" * 32}])
def test_without_its_session_a_draft_is_not_to_be_had(anybody: Caller, header: dict[str, str]) -> None:
    for answer in (
        anybody.get("/v0/onboarding/device", headers=header),
        anybody.patch("/v0/onboarding/device", {"name": "Mine"}, headers=header),
        anybody.post("/v0/onboarding/register", headers=header),
    ):
        assert (answer.status_code, answer.json["id"]) == (404, "record_not_found")


def test_registering_needs_a_user_and_a_name_and_tags_that_exist(anybody: Caller, user: Caller) -> None:
    app = App(anybody, user_tags="no-such-tag")

    assert app.register(anybody).status_code == 401
    assert app.register(user).status_code == 422
    app.change(name="Roof")
    assert app.register(user).status_code == 404
    app.change(user_tags=None)
    assert app.register(user).status_code == 201


def test_two_drafts_never_share_a_token_with_each_other_or_a_device(
    user: Caller, anybody: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = user.register_device(device_token="aaaaaa")
    letters = iter("aaaaaabbbbbbbbbbbbcccccc")
    monkeypatch.setattr("app.api.onboarding.secrets.choice", lambda alphabet: next(letters))

    assert [App(anybody).token, App(anybody).token] == ["bbbbbb", "cccccc"]
    assert taken["device_token"] == "aaaaaa"


def test_an_app_finds_out_who_has_an_address(anybody: Caller, user: Caller) -> None:
    found = anybody.post("/v0/onboarding/user", {"email": user.user["email"].upper()})

    assert found.json == {"username": user.user["username"]}
    assert anybody.post("/v0/onboarding/user", {"email": "nobody@example.org"}).status_code == 404


def test_neither_session_nor_token_stands_in_the_database(anybody: Caller, conn: DictConnection) -> None:
    app = App(anybody)

    row = conn.execute(
        "SELECT orphan_devices::text AS text FROM orphan_devices WHERE token_hash = %s", [hash_token(app.token)]
    ).fetchone()

    assert row is not None
    assert app.token not in row["text"]
    assert app.headers["OnboardingSession"] not in row["text"]


def test_a_draft_is_forgotten_after_a_week(anybody: Caller, conn: DictConnection, environment: None) -> None:
    old, young = App(anybody), App(anybody)
    for app, days in ((old, 8), (young, 6)):
        conn.execute(
            "UPDATE orphan_devices SET updated_at = now() - %s * interval '1 day' WHERE token_hash = %s",
            [days, hash_token(app.token)],
        )

    purge_orphans()

    assert old.show().status_code == 404
    assert young.show().status_code == 200


def test_another_tokens_messages_are_nobody_elses(
    anybody: Caller, user: Caller, new_user: Callable[..., Caller], broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    mine, other = App(anybody, name="Mine"), App(anybody, name="Other")
    publish(broker, other.token, "readings/raw", b"{t:2026-01-15T08:30:00Z,55:99}")
    wait_for(lambda: other.show().json["device_handshake"])

    device_id = mine.register(user).json["id"]

    assert mine.caller is anybody
    assert user.history(device_id, 55, rollup="1h", **DAY) == []
    theirs = other.register(new_user()).json["id"]
    assert [value for _, value in user.history(theirs, 55, rollup="1h", **DAY)] == [99.0]
