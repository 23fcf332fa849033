"""A device's tokens over the API, and what they are worth in the ingestor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from waiting import wait_for

from app.config import Config
from app.sealing import unseal
from ingestor.strangers import PER_TOKEN, TOGETHER, Strangers
from ingestor.tokens import hash_token
from sql import DictConnection

RAW = b"{t:2026-01-15T08:3%d:00Z,55:21.4}"
DAY = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def tokens(user: Caller, device: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = user.get(f"/v0/devices/{device['id']}/tokens").json
    return listed


def make(user: Caller, device: dict[str, Any], **fields: Any) -> dict[str, Any]:
    made = user.post(f"/v0/devices/{device['id']}/tokens", fields)
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json
    return body


def test_a_token_is_32_characters_and_shown_in_the_answer_that_makes_it_alone(
    user: Caller, device: dict[str, Any]
) -> None:
    made = make(user, device, expires_at="2030-01-15T08:30:00Z")

    assert len(made.pop("device_token")) == 32
    assert made["expires_at"] == "2030-01-15T08:30:00Z"
    assert tokens(user, device)[0] == made
    assert set(made) == {"id", "created_at", "expires_at", "last_used_at"}


def test_a_revoked_token_leaves_the_list_and_cannot_be_revoked_again(user: Caller, device: dict[str, Any]) -> None:
    path = f"/v0/devices/{device['id']}/tokens/{make(user, device)['id']}"

    assert user.delete(path).status_code == 200
    assert len(tokens(user, device)) == 1
    assert user.delete(path).status_code == 404


def test_a_device_has_ten_tokens_at_most_by_whichever_door(user: Caller, device: dict[str, Any]) -> None:
    path = f"/v0/devices/{device['id']}"
    kept = [user.patch(path, {"device_token": f"{device['id']:06}{number:010}"}) for number in range(9)]
    assert {answer.status_code for answer in kept} == {200}

    added = user.patch(path, {"device_token": f"{device['id']:06}one-too-many"})
    made = user.post(f"{path}/tokens", {})

    assert (added.status_code, list(added.json["errors"])) == (422, ["device_token"])
    assert made.status_code == 422
    assert len(tokens(user, device)) == 10
    assert user.patch(path, {"device_token": device["device_token"]}).status_code == 200, "it has that one already"


def test_a_revoked_token_is_not_given_to_its_device_again(user: Caller, device: dict[str, Any]) -> None:
    revoked, path = make(user, device), f"/v0/devices/{device['id']}"
    user.delete(f"{path}/tokens/{revoked['id']}")

    answer = user.patch(path, {"device_token": revoked["device_token"]})

    assert (answer.status_code, answer.json["errors"]) == (
        422,
        {"device_token": ["was revoked, or has expired: choose another"]},
    )


def test_a_token_of_another_device_cannot_be_revoked_through_ones_own(
    user: Caller, device: dict[str, Any], new_user: Any
) -> None:
    other = new_user()
    foreign = tokens(other, other.register_device())[0]

    assert user.delete(f"/v0/devices/{device['id']}/tokens/{foreign['id']}").status_code == 404


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "soon", 7])
def test_an_expiry_that_is_over_or_no_time_is_refused_by_name(
    user: Caller, device: dict[str, Any], expires_at: object
) -> None:
    answer = user.post(f"/v0/devices/{device['id']}/tokens", {"expires_at": expires_at})

    assert answer.status_code == 422
    assert set(answer.json["errors"]) == {"expires_at"}


def test_a_device_has_ten_tokens_at_most(user: Caller, device: dict[str, Any]) -> None:
    for _ in range(9):
        make(user, device)

    assert user.post(f"/v0/devices/{device['id']}/tokens", {}).status_code == 422
    user.delete(f"/v0/devices/{device['id']}/tokens/{tokens(user, device)[0]['id']}")
    make(user, device)


def test_the_database_holds_no_token_in_clear_and_of_a_revoked_one_its_hash_alone(
    user: Caller, device: dict[str, Any], config: Config, conn: DictConnection
) -> None:
    token = device["device_token"]
    select = "SELECT hash, sealed FROM device_tokens WHERE device_id = %s"
    row = conn.execute(select, [device["id"]]).fetchone() or {}
    sealed = bytes(row["sealed"])

    assert token.encode() not in sealed
    assert unseal(sealed, bytes(row["hash"]), config.secret_key) == token
    assert unseal(sealed, bytes(row["hash"]), "x" * 32) is None
    assert unseal(sealed, hash_token("another"), config.secret_key) is None

    user.delete(f"/v0/devices/{device['id']}/tokens/{tokens(user, device)[0]['id']}")
    assert conn.execute(select, [device["id"]]).fetchone() == {"hash": hash_token(token), "sealed": None}


def test_old_and_new_token_are_good_while_rotating_and_then_the_new_one(
    user: Caller, device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    old, new = device["device_token"], make(user, device)["device_token"]
    publish(broker, old, "readings/raw", RAW % 0)
    publish(broker, new, "readings/raw", RAW % 1)
    wait_for(lambda: len(user.history(device["id"], 55, **DAY)) == 2)

    user.delete(f"/v0/devices/{device['id']}/tokens/{tokens(user, device)[1]['id']}")
    publish(broker, old, "readings/raw", RAW % 2)
    publish(broker, new, "readings/raw", RAW % 3)

    wait_for(lambda: len(user.history(device["id"], 55, **DAY)) == 3)
    assert [time for time, _ in user.history(device["id"], 55, **DAY)] == [
        f"2026-01-15T08:3{minute}:00Z" for minute in (0, 1, 3)
    ]
    assert conn.execute(
        "SELECT reason, payload FROM quarantine WHERE token_hash = %s", [hash_token(old)]
    ).fetchall() == [{"reason": "unknown_token", "payload": RAW % 2}]


def test_the_list_shows_which_token_was_used_last(
    user: Caller, device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    make(user, device)
    publish(broker, device["device_token"], "readings/raw", RAW % 0)

    wait_for(lambda: tokens(user, device)[1]["last_used_at"])
    assert tokens(user, device)[0]["last_used_at"] is None


def test_a_token_that_has_expired_is_refused(
    user: Caller, device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    made = make(user, device, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    conn.execute("UPDATE device_tokens SET expires_at = now() WHERE id = %s", [made["id"]])  # an hour later

    publish(broker, made["device_token"], "readings/raw", RAW % 0)
    publish(broker, device["device_token"], "readings/raw", RAW % 1)

    wait_for(lambda: user.history(device["id"], 55, **DAY))
    assert len(user.history(device["id"], 55, **DAY)) == 1


def test_a_stranger_fills_only_so_much_of_the_quarantine_and_the_rest_is_counted(
    user: Caller, device: dict[str, Any], broker: RunningBroker, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    sent = 2 * PER_TOKEN + 10  # of which two minutes at most take PER_TOKEN each
    publish(broker, "guess1", "readings/raw", *(b"{%d}" % number for number in range(sent)))
    publish(broker, device["device_token"], "readings/raw", RAW % 0)

    wait_for(lambda: user.history(device["id"], 55, **DAY))
    row = conn.execute("SELECT count(*) AS n FROM quarantine WHERE token_hash = %s", [hash_token("guess1")]).fetchone()
    assert row is not None
    assert PER_TOKEN <= row["n"] <= 2 * PER_TOKEN


def test_all_strangers_together_have_so_much_room_in_a_minute_and_anew_in_the_next() -> None:
    strangers, noon = Strangers(), datetime(2030, 1, 1, 12, tzinfo=UTC)

    admitted = [strangers.admits(hash_token(str(number)), noon) for number in range(2 * TOGETHER)]

    assert sum(admitted) == TOGETHER
    assert strangers.admits(hash_token("one more"), noon + timedelta(minutes=1))
