"""Experiments: anybody's public devices and one's own private ones, looked at together."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller

from ingestor.intake import Message, read_messages
from ingestor.known import Known
from ingestor.writer import Writer
from sql import DictConnection

EXPERIMENT = {
    *("id", "name", "description", "owner_id", "active", "is_test", "starts_at", "ends_at", "device_ids"),
    *("created_at", "updated_at"),
}


def make(user: Caller, **fields: Any) -> dict[str, Any]:
    answer = user.post("/v0/experiments", {"name": "Traffic", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json


def refusal(user: Caller, **fields: Any) -> dict[str, list[str]]:
    answer = user.post("/v0/experiments", {"name": "Traffic", **fields})
    assert answer.status_code == 422, answer.text
    return answer.json["errors"]


def days_ago(days: float) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def test_a_name_is_enough(user: Caller, anybody: Caller) -> None:
    made = make(user)

    assert set(made) == EXPERIMENT
    assert (made["owner_id"], made["active"], made["is_test"], made["device_ids"]) == (user.user["id"], True, False, [])
    assert anybody.get(f"/v0/experiments/{made['id']}").json == made


def test_experiments_are_listed_filtered_and_sorted(user: Caller, anybody: Caller) -> None:
    first, second = make(user), make(user, is_test=True)

    path = f"/v0/experiments/?q[owner_id_eq]={user.user['id']}"
    assert anybody.get(path).json == [first, second]
    assert anybody.get(f"{path}&q[is_test_true]=1").json == [second]
    assert anybody.get(f"{path}&q[s]=id desc&per_page=1").json == [second]
    assert anybody.get("/v0/experiments?q[active_eq]=true").status_code == 400


@pytest.mark.parametrize(
    ("starts", "ends", "active"),
    [(None, None, True), (1, -1, True), (None, -1, True), (1, None, True), (-1, None, False), (3, 1, False)],
)
def test_an_experiment_is_active_between_its_start_and_its_end(
    user: Caller, starts: float | None, ends: float | None, active: bool
) -> None:
    times = {
        name: None if days is None else days_ago(days) for name, days in (("starts_at", starts), ("ends_at", ends))
    }

    made = make(user, **times)

    assert (made["active"], made["starts_at"], made["ends_at"]) == (active, times["starts_at"], times["ends_at"])


def test_a_date_is_its_beginning(user: Caller) -> None:
    assert make(user, starts_at="2026-01-15")["starts_at"] == "2026-01-15T00:00:00Z"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": "2026-02-01", "ends_at": "2026-01-01"}, "ends_at"),
        ({"device_ids": [2**31 - 1]}, "device_ids"),
        ({"device_ids": ["x"]}, "device_ids.0"),
    ],
)
def test_a_wrong_field_is_named(user: Caller, fields: dict[str, Any], wrong: str) -> None:
    assert list(refusal(user, **fields)) == [wrong]


def test_public_devices_may_be_anybodys_and_private_ones_the_owners(
    user: Caller, new_user: Callable[..., Caller]
) -> None:
    other = new_user()
    theirs = other.register_device()["id"], other.register_device(is_private=True)["id"]
    own = user.register_device(is_private=True)["id"]

    assert make(user, device_ids=[own, theirs[0]])["device_ids"] == sorted([own, theirs[0]])
    assert list(refusal(user, device_ids=[own, theirs[1]])) == ["device_ids"]


def test_an_archived_device_is_in_no_experiment(user: Caller, conn: DictConnection) -> None:
    device_id = user.register_device()["id"]
    made = make(user, device_ids=[device_id])
    conn.execute("UPDATE devices SET archived_at = now() WHERE id = %s", [device_id])

    assert user.get(f"/v0/experiments/{made['id']}").json["device_ids"] == []
    assert list(refusal(user, device_ids=[device_id])) == ["device_ids"]


def test_a_private_device_of_an_experiment_is_shown_to_its_owner_and_admins_alone(
    user: Caller, new_user: Callable[..., Caller], anybody: Caller, admin: Caller
) -> None:
    public, private = user.register_device()["id"], user.register_device(is_private=True)["id"]
    path = f"/v0/experiments/{make(user, device_ids=[public, private])['id']}"

    for caller, seen in (
        (anybody, [public]),
        (new_user(), [public]),
        (user, [public, private]),
        (admin, [public, private]),
    ):
        assert caller.get(path).json["device_ids"] == seen
        (listed,) = caller.get("/v0/experiments", query_string={"q[id_eq]": path.rpartition("/")[2]}).json
        assert listed["device_ids"] == seen


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_change_replaces_what_is_sent_and_leaves_the_rest(user: Caller, method: str) -> None:
    devices = [user.register_device()["id"] for _ in range(2)]
    made = make(user, description="x", ends_at="2026-01-15", device_ids=devices[:1])
    path = f"/v0/experiments/{made['id']}"

    renamed = getattr(user, method)(path, {"name": "Noise", "ends_at": None}).json
    moved = getattr(user, method)(path, {"device_ids": devices[1:]}).json

    assert renamed == {**made, "name": "Noise", "ends_at": None, "active": True, "updated_at": renamed["updated_at"]}
    assert moved == {**renamed, "device_ids": devices[1:], "updated_at": moved["updated_at"]}


def test_a_start_after_the_end_that_is_there_is_refused(user: Caller) -> None:
    made = make(user, ends_at="2026-01-15")

    answer = user.patch(f"/v0/experiments/{made['id']}", {"starts_at": "2026-02-01"})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["ends_at"])


def test_a_deleted_experiment_is_gone_and_its_devices_stay(user: Caller, anybody: Caller) -> None:
    device_id = user.register_device()["id"]
    path = f"/v0/experiments/{make(user, device_ids=[device_id])['id']}"

    assert user.delete(path).json == {"message": "OK"}
    assert anybody.get(path).status_code == 404
    assert anybody.get(f"/v0/devices/{device_id}").json["experiment_ids"] == []


def test_a_device_names_its_experiments(user: Caller, anybody: Caller) -> None:
    device_id = user.register_device()["id"]
    experiments = [make(user, device_ids=[device_id])["id"] for _ in range(2)]

    assert anybody.get(f"/v0/devices/{device_id}").json["experiment_ids"] == experiments


DAY = {"sensor_id": 55, "rollup": "1h", "from": "2026-01-15", "to": "2026-01-16"}


def hear_from(conn: DictConnection, device: dict[str, Any], value: float) -> None:
    """Store a temperature of 2026-01-15 08:30."""
    payload = b"{t:2026-01-15T08:30:00Z,55:%.2f}" % value
    message, known = Message(f"device/sck/{device['device_token']}/readings/raw", payload), Known()
    Writer(known).write(conn, read_messages(conn, [message], known, datetime.now(UTC)))


def test_the_readings_of_all_devices_come_in_one_answer_each_as_its_own(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    devices = [user.register_device() for _ in range(3)]
    for number, device in enumerate(devices[:2]):
        hear_from(conn, device, 20 + number)
    path = f"/v0/experiments/{make(user, device_ids=[device['id'] for device in devices])['id']}/readings"

    combined = anybody.get(path, query_string=DAY).json

    assert set(combined) == {"experiment_id", "devices"}
    alone = [anybody.get(f"/v0/devices/{device['id']}/readings", query_string=DAY).json for device in devices]
    for history in combined["devices"] + alone:
        del history["complete_as_of"]
    assert combined["devices"] == alone
    assert [history["readings"] for history in alone] == [
        [["2026-01-15T08:00:00Z", 20.0]],
        [["2026-01-15T08:00:00Z", 21.0]],
        [],
    ]


def test_an_experiments_readings_are_those_between_its_start_and_its_end(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    hear_from(conn, device, 20)
    query = {"sensor_id": 55, "rollup": "1h"}

    def read(**times: str) -> list[Any]:
        experiment_id = make(user, device_ids=[device["id"]], **times)["id"]
        answer = anybody.get(f"/v0/experiments/{experiment_id}/readings", query_string=query)
        return answer.json["devices"][0]["readings"]

    assert read(starts_at="2026-01-01", ends_at="2026-02-01") == [["2026-01-15T08:00:00Z", 20.0]]
    assert read(starts_at="2026-01-16", ends_at="2026-02-01") == []
    assert read(starts_at="2026-01-01", ends_at="2026-01-15") == []


def test_readings_of_private_devices_are_for_their_owner_and_admins_alone(
    user: Caller, new_user: Callable[..., Caller], anybody: Caller, admin: Caller
) -> None:
    public, private = user.register_device()["id"], user.register_device(is_private=True)["id"]
    path = f"/v0/experiments/{make(user, device_ids=[public, private])['id']}/readings"

    for caller, seen in (
        (anybody, [public]),
        (new_user(), [public]),
        (user, [public, private]),
        (admin, [public, private]),
    ):
        answer = caller.get(path, query_string=DAY)
        assert [history["device_id"] for history in answer.json["devices"]] == seen
        assert answer.headers["Cache-Control"] == "private, no-cache"


def test_a_wrong_question_is_refused_before_anything_is_read(user: Caller, anybody: Caller) -> None:
    path = f"/v0/experiments/{make(user, device_ids=[user.register_device()['id']])['id']}/readings"

    assert anybody.get(path).status_code == 400
    assert anybody.get(path, query_string={**DAY, "to": "2025-01-01"}).status_code == 400
    too_fine = {"sensor_id": 55, "rollup": "1s", "from": "2000-01-01", "fill": "null"}
    assert anybody.get(path, query_string=too_fine).status_code == 422


def test_what_an_admin_changes_stays_its_owners(user: Caller, admin: Caller) -> None:
    private = user.register_device(is_private=True)["id"]
    path = f"/v0/experiments/{make(user)['id']}"

    changed = admin.patch(path, {"device_ids": [private]})

    assert (changed.json["owner_id"], changed.json["device_ids"]) == (user.user["id"], [private])


def test_the_experiments_of_a_closed_account_are_hidden_with_it(user: Caller, anybody: Caller, admin: Caller) -> None:
    path = f"/v0/experiments/{user.post('/v0/experiments', {'name': 'Traffic'}).json['id']}"
    listed = {"q[owner_id_eq]": user.user["id"]}

    user.delete("/v0/me")
    assert anybody.get(path).status_code == 404
    assert anybody.get("/v0/experiments", query_string=listed).json == []

    admin.post(f"/v0/users/{user.user['id']}/restore")
    assert anybody.get(path).status_code == 200
    assert len(anybody.get("/v0/experiments", query_string=listed).json) == 1
