"""Exports asked for: by whom, how many at once, how they are listed, and the Smart Citizen platform's own way."""

from collections.abc import Callable
from typing import Any

import pytest
from caller import Caller
from exporting import START, TEMPERATURE, ask, device_of_three_years, export, load, mails, store
from mail_server import Mailbox

from sql import DictConnection

Work = Callable[[], None]


@pytest.fixture
def device(user: Caller, conn: DictConnection) -> dict[str, Any]:
    return device_of_three_years(user, conn)


def test_another_users_private_device_is_not_there_to_export(
    user: Caller, new_user: Callable[..., Caller], admin: Caller, work: Work, conn: DictConnection
) -> None:
    device = user.register_device(is_private=True)
    store(conn, device["id"], TEMPERATURE, [(START, 1.0, 1.0)])
    other = new_user()

    refused = other.post("/v0/exports", {"device_ids": [device["id"]]})
    assert (refused.status_code, refused.json["id"]) == (404, "record_not_found")
    assert other.get(f"/v0/devices/{device['id']}/readings/csv_archive").status_code == 404
    for allowed in (user, admin):
        assert export(allowed, work, device["id"])["state"] == "finished"


def test_a_csv_archive_is_the_whole_device_by_mail(
    user: Caller, work: Work, device: dict[str, Any], mailbox: Mailbox
) -> None:
    asked = user.get(f"/v0/devices/{device['id']}/readings/csv_archive")
    work()

    assert (asked.status_code, asked.json["id"]) == (200, "ok")
    assert len(load(user, user.get(asked.json["url"]).json)) == 220
    assert len(mails(mailbox, user)) == 1


def test_a_csv_archive_comes_once_in_15_minutes(user: Caller, work: Work, device: dict[str, Any]) -> None:
    path = f"/v0/devices/{device['id']}/readings/csv_archive"
    assert user.get(path).status_code == 200

    again = user.get(path)
    assert again.status_code == 429
    assert 0 < int(again.headers["Retry-After"]) <= 15 * 60
    assert user.get(f"/v0/devices/{user.register_device()['id']}/readings/csv_archive").status_code == 200


def test_a_csv_archive_that_was_stopped_may_be_asked_for_again_at_once(
    user: Caller, work: Work, device: dict[str, Any]
) -> None:
    path = f"/v0/devices/{device['id']}/readings/csv_archive"
    asked = user.get(path)

    user.post(asked.json["url"] + "/cancel")

    assert user.get(path).status_code == 200


def test_exports_are_listed_to_their_owner_the_newest_first(
    user: Caller, new_user: Callable[..., Caller], work: Work, device: dict[str, Any]
) -> None:
    ours = [ask(user, device) for _ in range(3)]
    ask(new_user(), device)

    listed = user.get("/v0/exports?per_page=2")

    assert [export["id"] for export in listed.json] == ours[:0:-1]
    assert listed.headers["Total"] == "3"


def test_the_eleventh_export_has_to_wait_for_another(user: Caller, work: Work, device: dict[str, Any]) -> None:
    ids = [ask(user, device) for _ in range(10)]
    refused = user.post("/v0/exports", {"device_ids": [device["id"]]})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")

    for export_id in ids:
        user.post(f"/v0/exports/{export_id}/cancel")
    assert user.post("/v0/exports", {"device_ids": [device["id"]]}).status_code == 202
