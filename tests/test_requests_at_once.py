"""Two requests at once: neither undoes what the other has done, and none gets an error of ours.

A transaction of the test's own holds a row, so that requests stand in each other's way at that place and no other. On
the embedded database, which has one transaction at a time, they come one after the other.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from caller import Caller
from waiting import wait_for
from werkzeug.test import TestResponse

from ingestor.intake import Message
from ingestor.stopping import Stopping
from ingestor.store import Store
from sql import DictConnection, connect

ON_A_SERVER = bool(os.environ.get("TEST_DATABASE_URL"))
needs_server = pytest.mark.skipif(not ON_A_SERVER, reason="the embedded database has one transaction at a time")
Begin = Callable[..., "Future[TestResponse]"]


@pytest.fixture
def begin(database_url: str) -> Iterator[Begin]:
    """Begins a request, and returns once it waits for a lock."""
    with ThreadPoolExecutor(4) as threads, connect(database_url) as watcher:
        begun = 0

        def begin(call: Callable[..., Any], *args: Any) -> Future[Any]:
            nonlocal begun
            future = threads.submit(call, *args)
            if ON_A_SERVER:
                begun += 1
                wait_for(lambda: future.done() or _waiting(watcher) >= begun)
            return future

        yield begin


def _waiting(conn: DictConnection) -> int:
    (row,) = conn.execute(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchall()
    return int(row["n"])


@contextmanager
def held(conn: DictConnection, table: str, row_id: int) -> Iterator[None]:
    with conn.transaction():
        conn.execute(f"SELECT FROM {table} WHERE id = %s FOR NO KEY UPDATE", [row_id])  # type: ignore[arg-type]
        yield


def both_changes(begin: Begin, conn: DictConnection, who: Caller, table: str, path: str, *changes: Any) -> Any:
    """Make two changes of one thing at once, and return what it is then."""
    row_id = who.get(path).json["id"]
    with held(conn, table, row_id):
        answers = [begin(who.patch, path, change) for change in changes]
    assert [answer.result().status_code for answer in answers] == [200, 200]
    return who.get(path).json


def test_who_describes_an_account_takes_no_role_back(
    begin: Begin, user: Caller, admin: Caller, conn: DictConnection
) -> None:
    with held(conn, "users", user.user["id"]):
        given = begin(admin.patch, f"/v0/users/{user.user['id']}", {"role": "researcher"})
        moved = begin(user.patch, "/v0/me", {"city": "Tromsø"})

    assert (given.result().status_code, moved.result().status_code) == (200, 200)
    me = user.get("/v0/me").json
    assert (me["role"], me["location"]["city"]) == ("researcher", "Tromsø")


def test_an_account_that_is_closed_at_that_moment_is_not_changed(
    begin: Begin, user: Caller, conn: DictConnection
) -> None:
    with conn.transaction():
        conn.execute("UPDATE users SET archived_at = now() WHERE id = %s", [user.user["id"]])
        changed = begin(user.patch, "/v0/me", {"city": "Tromsø"})

    assert changed.result().status_code in (401, 404)


def test_two_changes_of_a_kit_both_stay(begin: Begin, user: Caller, conn: DictConnection) -> None:
    slug = user.post("/v0/kits", {"name": "At once", "components": [{"sensor_id": 55}]}).json["slug"]
    kit = both_changes(
        begin, conn, user, "kits", f"/v0/kits/{slug}", {"publish_interval": 60}, {"settings": {"led": "off"}}
    )

    assert (kit["publish_interval"], kit["settings"]) == (60, {"led": "off"})


def test_two_changes_of_an_experiment_both_stay(begin: Begin, user: Caller, conn: DictConnection) -> None:
    made = user.post("/v0/experiments", {"name": "Noise"}).json
    path = f"/v0/experiments/{made['id']}"
    shown = both_changes(begin, conn, user, "experiments", path, {"name": "Noise at night"}, {"description": "May"})

    assert (shown["name"], shown["description"]) == ("Noise at night", "May")


def test_two_changes_of_a_sensor_both_stay(begin: Begin, admin: Caller, conn: DictConnection) -> None:
    made = admin.post("/v0/sensors", {"name": "At once", "description": "new"}).json
    path = f"/v0/sensors/{made['id']}"
    shown = both_changes(begin, conn, admin, "sensors", path, {"name": "Later"}, {"description": "older"})

    assert (shown["name"], shown["description"]) == ("Later", "older")


def test_two_sensors_do_not_come_to_sit_on_each_other(begin: Begin, admin: Caller, conn: DictConnection) -> None:
    board = admin.post("/v0/sensors", {"name": "Board", "description": ""}).json["id"]
    chip = admin.post("/v0/sensors", {"name": "Chip", "description": "", "parent_id": board}).json["id"]
    channel = admin.post("/v0/sensors", {"name": "Channel", "description": ""}).json["id"]
    with conn.transaction():
        conn.execute("SELECT FROM sensors WHERE id = %s FOR UPDATE", [chip])
        answers = [
            begin(admin.patch, f"/v0/sensors/{sensor_id}", {"parent_id": parent_id})
            for sensor_id, parent_id in ((channel, chip), (board, channel))
        ]

    assert sorted(answer.result().status_code for answer in answers) == [200, 422]


def test_two_changes_of_a_measurement_both_stay(begin: Begin, admin: Caller, conn: DictConnection) -> None:
    made = admin.post("/v0/measurements", {"name": "At once", "description": "new"}).json
    path = f"/v0/measurements/{made['id']}"
    shown = both_changes(begin, conn, admin, "measurements", path, {"unit": "lux"}, {"description": "older"})

    assert (shown["unit"], shown["description"]) == ("lux", "older")


def test_two_changes_of_a_tag_both_stay(begin: Begin, admin: Caller, conn: DictConnection) -> None:
    made = admin.post("/v0/tags", {"name": "At once", "description": "new"}).json
    path = f"/v0/tags/{made['id']}"
    shown = both_changes(begin, conn, admin, "tags", path, {"name": "Together"}, {"description": "older"})

    assert (shown["name"], shown["description"]) == ("Together", "older")


def test_two_changes_of_an_application_both_stay(begin: Begin, user: Caller, conn: DictConnection) -> None:
    made = user.post("/v0/applications", {"name": "At once", "scopes": ["readings:read"]}).json
    path = f"/v0/applications/{made['id']}"
    shown = both_changes(begin, conn, user, "applications", path, {"name": "Map"}, {"scopes": ["devices:read"]})

    assert (shown["name"], shown["scopes"]) == ("Map", ["devices:read"])


def test_two_descriptions_of_a_device_that_is_set_up_both_stay(
    begin: Begin, anybody: Caller, conn: DictConnection
) -> None:
    session = {"OnboardingSession": anybody.post("/v0/onboarding/device", {}).json["onboarding_session"]}
    orphan = anybody.get("/v0/onboarding/device", headers=session).json

    def describe(fields: dict[str, str]) -> TestResponse:
        return anybody.patch("/v0/onboarding/device", fields, headers=session)

    with held(conn, "orphan_devices", orphan["id"]):
        answers = [begin(describe, {"name": "Balcony"}), begin(describe, {"exposure": "outdoor"})]
    assert [answer.result().status_code for answer in answers] == [200, 200]

    shown = anybody.get("/v0/onboarding/device", headers=session).json
    assert (shown["name"], shown["exposure"]) == ("Balcony", "outdoor")


def test_a_new_address_does_not_switch_a_webhook_on_again(begin: Begin, user: Caller, conn: DictConnection) -> None:
    webhook = user.post("/v0/webhooks", {"url": "https://example.org/hook"}).json
    path = f"/v0/webhooks/{webhook['id']}"
    off, moved = {"enabled": False}, {"url": "https://example.org/other"}
    shown = both_changes(begin, conn, user, "webhooks", path, off, moved)

    assert (shown["enabled"], shown["url"]) == (False, "https://example.org/other")


@pytest.mark.parametrize(("method", "path"), [("patch", ""), ("post", "/test")])
def test_a_webhook_that_is_deleted_at_that_moment_is_not_there(
    begin: Begin, user: Caller, conn: DictConnection, method: str, path: str
) -> None:
    webhook = user.post("/v0/webhooks", {"url": "https://example.org/hook"}).json
    with conn.transaction():
        conn.execute("DELETE FROM webhooks WHERE id = %s", [webhook["id"]])
        asked = begin(getattr(user, method), f"/v0/webhooks/{webhook['id']}{path}", {})

    assert asked.result().status_code == 404


@needs_server  # on the embedded database either may come first
def test_a_seller_does_not_offer_a_device_that_is_being_taken(
    begin: Begin, new_user: Callable[..., Caller], conn: DictConnection
) -> None:
    seller, buyer = new_user(), new_user()
    device = seller.register_device()
    path = f"/v0/devices/{device['id']}/transfer"
    token = seller.post(path, {}).json["transfer_token"]
    with held(conn, "devices", device["id"]):
        taken = begin(buyer.post, "/v0/devices/transfer", {"transfer_token": token})
        offered = begin(seller.post, path, {})

    assert (taken.result().status_code, offered.result().status_code) == (200, 403)


def test_a_device_that_goes_to_the_trash_at_that_moment_is_not_taken(
    begin: Begin, new_user: Callable[..., Caller], conn: DictConnection
) -> None:
    seller, buyer = new_user(), new_user()
    device = seller.register_device()
    token = seller.post(f"/v0/devices/{device['id']}/transfer", {}).json["transfer_token"]
    with conn.transaction():
        conn.execute("UPDATE devices SET archived_at = now() WHERE id = %s", [device["id"]])
        taken = begin(buyer.post, "/v0/devices/transfer", {"transfer_token": token})

    assert taken.result().status_code == 404
    assert seller.post(f"/v0/devices/{device['id']}/restore").status_code == 200


def test_a_device_is_restored_without_the_mac_address_that_another_gets_at_that_moment(
    begin: Begin, user: Caller, conn: DictConnection
) -> None:
    old, new = user.register_device(mac_address="02:00:00:00:be:01"), user.register_device()
    user.delete(f"/v0/devices/{old['id']}")
    with conn.transaction():
        conn.execute("UPDATE devices SET mac_address = '02:00:00:00:be:01' WHERE id = %s", [new["id"]])
        restored = begin(user.post, f"/v0/devices/{old['id']}/restore")

    assert restored.result().status_code == 200
    assert conn.execute("SELECT mac_address FROM devices WHERE id = %s", [old["id"]]).fetchone() == {
        "mac_address": None
    }


def test_a_tag_that_is_deleted_at_that_moment_is_unknown(
    begin: Begin, user: Caller, admin: Caller, conn: DictConnection
) -> None:
    tag = admin.post("/v0/tags", {"name": "Passing"}).json
    device = user.register_device()
    with conn.transaction():
        conn.execute("DELETE FROM tags WHERE id = %s", [tag["id"]])
        tagged = begin(user.patch, f"/v0/devices/{device['id']}", {"user_tags": ["Passing"]})

    assert tagged.result().status_code == 404


def test_a_device_that_is_deleted_at_that_moment_is_in_no_experiment(
    begin: Begin, user: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    with conn.transaction():
        conn.execute("DELETE FROM devices WHERE id = %s", [device["id"]])
        made = begin(user.post, "/v0/experiments", {"name": "Noise", "device_ids": [device["id"]]})

    assert made.result().status_code == 422


def test_two_tokens_at_once_are_not_one_more_than_a_device_may_have(
    begin: Begin, user: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    path = f"/v0/devices/{device['id']}/tokens"
    for _ in range(8):
        user.post(path, {})
    with conn.transaction():
        conn.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [device["id"]])
        made = [begin(user.post, path, {}) for _ in range(2)]

    assert sorted(answer.result().status_code for answer in made) == [201, 422]


@pytest.mark.parametrize(
    ("path", "fields", "refusal"),
    [
        ("/v0/webhooks", {"url": "https://example.org/hook"}, 422),
        ("/v0/archives", {"device_id": None, "period": "day"}, 429),
    ],
)
def test_two_requests_at_once_make_not_one_more_than_a_user_may_have(
    begin: Begin, user: Caller, conn: DictConnection, path: str, fields: dict[str, Any], refusal: int
) -> None:
    if "device_id" in fields:
        fields = {**fields, "device_id": user.register_device()["id"]}
    for _ in range(19):
        assert user.post(path, fields).status_code == 201
    with conn.transaction():
        conn.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [user.user["id"]])
        made = [begin(user.post, path, fields) for _ in range(2)]

    assert sorted(answer.result().status_code for answer in made) == [201, refusal]


def test_who_asks_for_an_archive_twice_at_once_gets_one(begin: Begin, user: Caller, conn: DictConnection) -> None:
    device = user.register_device()
    path = f"/v0/devices/{device['id']}/readings/csv_archive"
    with conn.transaction():
        conn.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [user.user["id"]])
        asked = [begin(user.get, path) for _ in range(2)]

    assert sorted(answer.result().status_code for answer in asked) == [200, 429]


def test_an_account_that_is_deleted_at_that_moment_is_not_restored(
    begin: Begin, new_user: Callable[..., Caller], admin: Caller, conn: DictConnection
) -> None:
    gone = new_user()
    gone.delete("/v0/me")
    with conn.transaction():
        conn.execute("DELETE FROM users WHERE id = %s", [gone.user["id"]])
        restored = begin(admin.post, f"/v0/users/{gone.user['id']}/restore")

    assert restored.result().status_code == 404


@needs_server
def test_who_was_in_a_deadlock_is_told_to_try_again(begin: Begin, user: Caller, conn: DictConnection) -> None:
    device = user.register_device()
    made = user.post("/v0/experiments", {"name": "Noise"}).json
    with conn.transaction():
        conn.execute("SET LOCAL deadlock_timeout = '1min'")  # so that the request finds it, not this
        conn.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [device["id"]])
        changed = begin(user.patch, f"/v0/experiments/{made['id']}", {"device_ids": [device["id"]]})
        conn.execute("SELECT FROM experiments WHERE id = %s FOR UPDATE", [made["id"]])

    answer = changed.result()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "nothing has changed" in answer.json["message"]


def test_a_device_that_is_deleted_at_that_moment_gets_nothing_out_of_quarantine(
    begin: Begin, user: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    early = {"recorded_at": "1970-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 1}]}
    user.post(f"/v0/devices/{device['id']}/readings", {"data": [early]})
    (item,) = user.get("/v0/quarantine").json
    release = {"ids": [item["id"]], "shift_seconds": 50 * 365 * 86_400}
    with conn.transaction():
        conn.execute(
            "SELECT FROM devices WHERE id = %s FOR UPDATE", [device["id"]]
        )  # as DELETE does before it cascades
        released = begin(user.post, "/v0/quarantine/release", release)
        conn.execute("DELETE FROM devices WHERE id = %s", [device["id"]])

    answer = released.result()
    assert answer.status_code == 404 or answer.json == {"stored": 0, "duplicate": 0, "kept": []}


@needs_server
def test_a_batch_takes_its_devices_in_order_those_that_tell_of_themselves_too(
    begin: Begin, user: Caller, conn: DictConnection, database_url: str
) -> None:
    telling, measuring = user.register_device(), user.register_device()
    topic, now = "device/sck/{}/{}", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    messages = [
        Message(topic.format(measuring["device_token"], "readings/raw"), f"{{t:{now},55:21}}".encode()),
        Message(topic.format(telling["device_token"], "info"), b'{"hw_ver":"2.1"}'),
    ]
    store = Store(database_url, Stopping(), patience_s=20)
    with held(conn, "devices", telling["id"]):
        put = begin(store.put, messages)
        # the batch waits for the first one without having the second
        conn.execute("SELECT FROM devices WHERE id = %s FOR NO KEY UPDATE NOWAIT", [measuring["id"]])
    assert put.result() == []
    store.close()

    assert user.history(measuring["id"], 55, rollup="1h")[0][1] == 21


@needs_server  # on the embedded database either may come first
@pytest.mark.parametrize("way", ["registered", "handed over"])
def test_no_device_is_left_over_by_an_account_that_is_closed(
    begin: Begin, conn: DictConnection, user: Caller, new_user: Callable[..., Caller], way: str
) -> None:
    giver = new_user()
    device = giver.register_device()
    offer = giver.post(f"/v0/devices/{device['id']}/transfer", {}).json
    sent = {
        "registered": ("/v0/devices", {"name": "Balcony"}),
        "handed over": ("/v0/devices/transfer", {"transfer_token": offer["transfer_token"]}),
    }

    with held(conn, "users", user.user["id"]):
        closed = begin(user.delete, "/v0/me")
        got = begin(user.post, *sent[way])

    assert closed.result().status_code == 200
    assert got.result().status_code in (401, 404)
    assert user.app.test_client().get("/v0/devices", query_string={"q[owner_id_eq]": user.user["id"]}).json == []
    assert giver.get(f"/v0/devices/{device['id']}").json["owner"]["id"] == giver.user["id"]
