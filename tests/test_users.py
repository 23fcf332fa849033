"""Users as others see them, and devices of version 1."""

from collections.abc import Callable
from typing import Any

import pytest
from caller import Caller

from sql import DictConnection, queries

USER_KEYS = [
    "id",
    "uuid",
    "role",
    "username",
    "profile_picture",
    "url",
    "location",
    "updated_at",
    "email",
    "legacy_api_key",
    "forwarding_token",
    "forwarding_username",
    "devices",
]
DEVICE_KEYS = [
    "id",
    "uuid",
    "name",
    "description",
    "state",
    "system_tags",
    "user_tags",
    "last_reading_at",
    "created_at",
    "updated_at",
    "notify",
    "device_token",
    "postprocessing",
    "location",
    "data_policy",
    "hardware",
    "experiment_ids",
]
PLACE = {"latitude": 41.39699, "longitude": 2.19456}


@pytest.mark.parametrize("by", ["id", "username", "upper", "list", "me"])
def test_a_user_has_the_contracts_keys_in_their_order(new_user: Callable[..., Caller], by: str) -> None:
    user = new_user(username=f"ada.{by}", city="London", country_code="gb")
    user.register_device(**PLACE)
    name = user.user["username"]
    paths = {
        "id": f"/v0/users/{user.user['id']}",
        "username": f"/users/{name}/",
        "upper": f"/v0/users/{name.upper()}",
        "list": f"/v0/users?q[username_eq]={name}",
        "me": "/v0/me",
    }

    answer = user.get(paths[by]).json
    shown = answer[0] if isinstance(answer, list) else answer

    assert list(shown) == list(user.user) == USER_KEYS
    assert shown["location"] == {
        "city": "London",
        "country": "United Kingdom of Great Britain and Northern Ireland",
        "country_code": "GB",
    }
    assert shown["email"] == f"{user.user['email']}"
    assert [list(device) for device in shown["devices"]] == [DEVICE_KEYS]
    assert shown["devices"][0]["location"]["city"] == "Barcelona"


def test_others_see_no_address_no_private_device_and_no_place(
    user: Caller, anybody: Caller, admin: Caller, new_user: Callable[..., Caller]
) -> None:
    public, private = (user.register_device(is_private=is_private, **PLACE)["id"] for is_private in (False, True))
    path = f"/v0/users/{user.user['id']}"

    for caller in (anybody, new_user()):
        seen = caller.get(path).json
        assert seen["email"] == seen["forwarding_token"] == seen["forwarding_username"] == "[FILTERED]"
        assert [device["id"] for device in seen["devices"]] == [public]
        assert "location" not in seen["devices"][0]
        assert caller.get(f"/v0/users?q[devices_id_eq]={private}").json == []
        assert caller.get(f"/v0/devices/{public}").json["owner"]["device_ids"] == [public]
    for caller in (user, admin):
        assert [device["id"] for device in caller.get(path).json["devices"]] == [public, private]
        assert caller.get(path).json["email"] == user.user["email"]
        assert caller.get(f"/v0/devices/{public}").json["owner"]["device_ids"] == [public, private]


def test_users_are_paged_filtered_and_ordered(new_user: Callable[..., Caller], admin: Caller, anybody: Caller) -> None:
    users = [new_user(city="Reykjavík").user["id"] for _ in range(3)]

    page = anybody.get("/v0/users", query_string={"q[city_eq]": "Reykjavík", "per_page": 2, "q[s]": "id desc"})

    assert [user["id"] for user in page.json] == users[:0:-1]
    assert page.headers["Total"] == "3"
    for hidden in ("role_mask_eq", "email_eq", "password_hash_start"):
        assert anybody.get("/v0/users", query_string={f"q[{hidden}]": "4"}).status_code == 400
    found = admin.get("/v0/users", query_string={"q[role_mask_eq]": "5", "q[id_eq]": admin.user["id"]}).json
    assert [user["role"] for user in found] == ["admin"]


def test_a_closed_account_is_not_there(user: Caller, anybody: Caller) -> None:
    user.delete("/v0/me")

    assert anybody.get(f"/v0/users/{user.user['id']}").status_code == 404
    assert anybody.get(f"/v0/users?q[id_eq]={user.user['id']}").json == []
    assert anybody.get("/v0/users/nobody.of.that.name").json["id"] == "record_not_found"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/devices/{id}", {}),
        ("/v1/devices?q[id_eq]={id}", {}),
        ("/devices/{id}", {"Accept": "application/vnd.smartcitizen; version=1"}),
    ],
)
def test_version_1_names_what_it_hides(
    user: Caller, anybody: Caller, conn: DictConnection, path: str, headers: dict[str, str]
) -> None:
    device_id = user.register_device(kit_id=26, mac_address="02:00:00:00:02:01", **PLACE)["id"]

    def see(caller: Caller) -> Any:
        answer = caller.get(path.format(id=device_id), headers=headers).json
        return answer[0] if isinstance(answer, list) else answer

    mine, seen = see(user), see(anybody)
    queries.archive_device(conn, id=device_id)

    assert list(mine) == [
        "id",
        "uuid",
        "name",
        "state",
        "system_tags",
        "user_tags",
        "created_at",
        "updated_at",
        "notify",
        "mac_address",
        "location",
        "data_policy",
        "hardware",
        "owner",
        "components",
        "unauthorized_fields",
    ]
    assert mine["unauthorized_fields"] == ["device_token"]
    assert mine["owner"]["email"] == user.user["email"]
    assert seen["unauthorized_fields"] == ["device_token", "mac_address", "data_policy"]
    assert seen["hardware"]["unauthorized_fields"] == ["last_status_message"]
    assert seen["owner"]["unauthorized_fields"] == ["email", "legacy_api_key"]
    assert set(mine) - set(seen) == {"mac_address", "data_policy"}
    assert "[FILTERED]" not in str(seen)
    assert list(seen["components"][0]) == ["sensor", "last_reading_at", "latest_value", "previous_value"]
    assert list(seen["components"][0]["sensor"]) == [
        "id",
        "parent_id",
        "name",
        "description",
        "unit",
        "created_at",
        "updated_at",
        "uuid",
        "datasheet",
        "unit_definition",
        "measurement",
        "tags",
    ]


def test_version_1_hides_private_devices(user: Caller, anybody: Caller) -> None:
    device_id = user.register_device(is_private=True)["id"]

    assert anybody.get(f"/v1/devices/{device_id}").status_code == 403
    assert anybody.get(f"/v1/devices?q[id_eq]={device_id}").json == []
    assert user.get(f"/v1/devices/{device_id}").json["data_policy"]["is_private"] is True
