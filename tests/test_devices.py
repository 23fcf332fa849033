"""Devices: what they look like to whom, how they change, and where they are."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from caller import Caller, set_role

from app.location import Place, city_of, geohash
from sql import DictConnection

BARCELONA = {"latitude": 41.39699, "longitude": 2.19456}
KEYS = [
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
    "owner",
    "data",
    "experiment_ids",
]
SENSOR_KEYS = [
    "id",
    "ancestry",
    "name",
    "description",
    "unit",
    "created_at",
    "updated_at",
    "uuid",
    "default_key",
    "datasheet",
    "unit_definition",
    "measurement",
    "value",
    "prev_value",
    "last_reading_at",
    "tags",
]


def role(conn: DictConnection, caller: Caller, name: str) -> Caller:
    set_role(conn, caller.user["id"], name)
    return caller


@pytest.fixture
def researcher(conn: DictConnection, new_user: Callable[..., Caller]) -> Caller:
    return role(conn, new_user(), "researcher")


@pytest.fixture
def tag(conn: DictConnection) -> str:
    conn.execute("INSERT INTO tags (name) VALUES ('Flower power') ON CONFLICT DO NOTHING")
    return "Flower power"


@pytest.mark.parametrize(
    "path", ["/v0/devices/{id}", "/devices/{id}", "/v0/devices/{id}/", "/v0/devices?q[id_eq]={id}"]
)
def test_a_device_has_the_contracts_keys_in_their_order(user: Caller, anybody: Caller, path: str) -> None:
    made = user.register_device(kit_id=26, **BARCELONA)

    answer = anybody.get(path.format(id=made["id"])).json
    shown = answer[0] if isinstance(answer, list) else answer

    assert list(made) == list(shown) == KEYS
    assert list(shown["data"]["sensors"][0]) == SENSOR_KEYS
    assert list(shown["hardware"]) == ["name", "type", "version", "slug", "last_status_message"]
    assert list(shown["owner"]) == ["id", "uuid", "username", "url", "profile_picture", "location", "device_ids"]
    assert list(shown["location"]) == ["latitude", "longitude", "geohash", "city", "country_code", "country"]
    assert list(shown["data_policy"]) == [
        "is_private",
        "enable_forwarding",
        "precise_location",
        "forwarding_destination",
    ]
    names = [sensor["name"] for sensor in shown["data"]["sensors"]]
    assert len(names) > 10
    assert names == sorted(names)


def test_others_do_not_see_what_only_the_owner_may(user: Caller, anybody: Caller) -> None:
    made = user.register_device(mac_address="5E-CF-7F-D1-75-78")
    mine = user.get(f"/v0/devices/{made['id']}").json
    seen = anybody.get(f"/v0/devices/{made['id']}").json

    assert mine["mac_address"] == "5e:cf:7f:d1:75:78"
    assert mine["hardware"]["last_status_message"] is None
    assert mine["data_policy"] == {
        "is_private": False,
        "enable_forwarding": False,
        "precise_location": True,
        "forwarding_destination": None,
    }
    assert "mac_address" not in seen
    assert seen["device_token"] == seen["hardware"]["last_status_message"] == "[FILTERED]"
    assert set(seen["data_policy"].values()) == {False, "[FILTERED]"}
    user.delete(f"/v0/devices/{made['id']}")


@pytest.mark.parametrize("meta", [{"n": 2**70}, {"n": 1e300}])
def test_a_large_number_in_what_a_worker_keeps_stops_no_list(
    researcher: Caller, anybody: Caller, meta: dict[str, Any]
) -> None:
    device = researcher.register_device(postprocessing_attributes={"meta": meta})

    shown = anybody.get(f"/v0/devices/{device['id']}")
    listed = anybody.get("/v0/devices?per_page=500")
    researcher.delete(f"/v0/devices/{device['id']}")

    assert shown.json["postprocessing"]["meta"] == meta
    assert listed.status_code == 200


def test_what_a_worker_keeps_that_no_answer_could_show_is_refused(researcher: Caller) -> None:
    device = researcher.register_device()
    deep: list[Any] = []
    for _ in range(70):
        deep = [deep]

    for meta in (deep, 10**400):
        answer = researcher.patch(f"/v0/devices/{device['id']}", {"postprocessing_attributes": {"meta": meta}})
        assert (answer.status_code, "64 levels" in answer.text) == (422, True)
    researcher.delete(f"/v0/devices/{device['id']}")


def test_every_writable_field_is_kept(researcher: Caller, tag: str) -> None:
    fields = {
        "name": "Roof",
        "description": "South side",
        "exposure": "outdoor",
        "elevation": 12.4,
        "is_private": True,
        "precise_location": True,
        "notify_low_battery": True,
        "notify_stopped_publishing": True,
        "notify_faulty_sensors": True,
        "user_tags": f" {tag.lower()} ,",
        "hardware_name_override": "My kit",
        "hardware_type_override": "DIY",
        "hardware_version_override": "9.1",
        "hardware_slug_override": "diy:9",
        "enable_forwarding": True,
        "postprocessing_attributes": {"blueprint_url": "https://example.org/b", "meta": {"a": [1]}},
        **BARCELONA,
    }
    for device in (researcher.register_device(**fields), _patched(researcher, **fields)):
        assert (device["name"], device["description"]) == ("Roof", "South side")
        assert device["location"] == {
            "exposure": "outdoor",
            "elevation": 12,
            **BARCELONA,
            "geohash": "sp3e9bn4by",
            "city": "Barcelona",
            "country_code": "ES",
            "country": "Spain",
        }
        assert device["system_tags"] == ["new", "offline", "outdoor"]
        assert device["user_tags"] == [tag]
        assert device["notify"] == {
            "stopped_publishing": True,
            "low_battery": True,
            "faulty_sensors": True,
            "errors": False,
        }
        assert device["data_policy"]["is_private"] is device["data_policy"]["enable_forwarding"] is True
        assert {**device["hardware"], "last_status_message": 0} == {
            "name": "My kit",
            "type": "DIY",
            "version": "9.1",
            "slug": "diy:9",
            "last_status_message": 0,
        }
        assert list(device["postprocessing"]) == [
            "id",
            "blueprint_url",
            "hardware_url",
            "device_id",
            "forwarding_params",
            "meta",
            "latest_postprocessing",
            "created_at",
            "updated_at",
        ]
        assert device["postprocessing"]["meta"] == {"a": [1]}


def _patched(caller: Caller, **fields: Any) -> dict[str, Any]:
    answer = caller.patch(f"/v0/devices/{caller.register_device()['id']}/", fields)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_fields_that_are_not_sent_stay(user: Caller) -> None:
    device = user.register_device(description="here", exposure="indoor", is_private=True, **BARCELONA)

    changed = user.put(f"/v0/devices/{device['id']}", {"name": "Cellar"}).json

    assert changed["name"] == "Cellar"
    assert {key: changed[key] for key in ("description", "location", "data_policy")} == {
        key: device[key] for key in ("description", "location", "data_policy")
    }


def test_the_connectors_whole_postprocessing_record_comes_back(researcher: Caller) -> None:
    path = f"/v0/devices/{researcher.register_device()['id']}/"
    sent = {"blueprint_url": "b", "hardware_url": "SCAS210028", "latest_postprocessing": "2026-01-15T08:30:00Z"}
    first = researcher.patch(path, {"postprocessing_attributes": sent}).json["postprocessing"]

    again = researcher.patch(path, {"postprocessing_attributes": {**first, "hardware_url": None}}).json[
        "postprocessing"
    ]

    assert {**first, "hardware_url": None} == {**again, "updated_at": first["updated_at"]}
    assert first["latest_postprocessing"] == "2026-01-15T08:30:00Z"


def test_what_a_role_may_not_set_is_left_out(user: Caller, admin: Caller) -> None:
    path = f"/v0/devices/{user.register_device()['id']}"
    fields = {"enable_forwarding": True, "is_test": True, "postprocessing_attributes": {"meta": 1}}

    changed = user.patch(path, fields)

    assert changed.status_code == 200
    assert changed.json["data_policy"]["enable_forwarding"] is False
    assert changed.json["postprocessing"] is None
    assert "test_device" not in changed.json["system_tags"]
    assert "test_device" in admin.patch(path, fields).json["system_tags"]


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"name": ""}, 422, "name"),
        ({"name": None}, 422, "name"),
        ({"latitude": 91, "longitude": 0}, 422, "latitude"),
        ({"latitude": 41.0, "longitude": None}, 422, "longitude"),
        ({"exposure": "moon"}, 422, "exposure"),
        ({"mac_address": "5e:cf:7f:d1:75"}, 422, "mac_address"),
        ({"device_token": "a b c d"}, 422, "device_token"),
        ({"user_tags": 3}, 422, "user_tags"),
        ({"kit_id": 999999}, 422, "kit_id"),
        ({"user_tags": "no-such-tag"}, 404, None),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(user: Caller, fields: Any, status: int, field: str | None) -> None:
    answer = user.post("/v0/devices", {"name": "Roof", **fields})

    assert answer.status_code == status
    assert field is None or list(answer.json["errors"]) == [field]


def test_no_tags_are_written_as_null_or_as_nothing(user: Caller, tag: str) -> None:
    device = user.register_device(user_tags=tag)
    for nothing in (None, "", []):
        user.patch(f"/v0/devices/{device['id']}", {"user_tags": tag})
        assert user.patch(f"/v0/devices/{device['id']}", {"user_tags": nothing}).json["user_tags"] == []


def test_a_mac_address_cannot_be_taken_from_another_device(new_user: Callable[..., Caller]) -> None:
    owner, thief = new_user(), new_user()
    theirs = owner.register_device(mac_address="02:00:00:00:00:01")
    mine = thief.register_device()

    answer = thief.patch(f"/v0/devices/{mine['id']}", {"mac_address": "02-00-00-00-00-01"})

    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["mac_address"]
    assert owner.get(f"/v0/devices/{theirs['id']}").json["mac_address"] == "02:00:00:00:00:01"
    owner.delete(f"/v0/devices/{theirs['id']}")


def test_another_devices_token_is_refused_and_the_old_one_stays(user: Caller) -> None:
    one, other = user.register_device(), user.register_device()

    answer = user.patch(f"/v0/devices/{one['id']}", {"device_token": other["device_token"]})

    assert answer.status_code == 422
    assert user.patch(f"/v0/devices/{one['id']}", {"device_token": "[FILTERED]"}).status_code == 200


def test_only_the_owner_changes_a_device(user: Caller, new_user: Callable[..., Caller], anybody: Caller) -> None:
    path = f"/v0/devices/{user.register_device()['id']}"

    for stranger in (anybody, new_user()):
        assert stranger.patch(path, {"name": "Mine"}).status_code == 403
        assert stranger.delete(path).status_code == 403
    assert user.get(path).json["name"] == "Balcony"


def test_a_device_whose_owner_is_archived_is_nobodys_to_change(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    conn.execute("UPDATE users SET archived_at = now() WHERE id = %s", [user.user["id"]])

    seen = anybody.get(f"/v0/devices/{device['id']}")

    assert "owner" not in seen.json
    assert anybody.patch(f"/v0/devices/{device['id']}", {"name": "Mine"}).status_code == 403


def test_an_imprecise_place_is_blurred_once_and_comes_back_whole(user: Caller, anybody: Caller) -> None:
    device = user.register_device(precise_location=False, **BARCELONA)
    path = f"/v0/devices/{device['id']}"
    seen = anybody.get(path).json["location"]

    user.patch(path, {"name": "Moved by nobody", **BARCELONA})
    user.patch(path, {"precise_location": True})
    whole = anybody.get(path).json["location"]
    user.patch(path, {"precise_location": False})

    assert {key: user.get(path).json["location"][key] for key in BARCELONA} == BARCELONA
    assert {key: whole[key] for key in BARCELONA} == BARCELONA
    assert anybody.get(path).json["location"] == seen
    assert seen["geohash"] == geohash(seen["latitude"], seen["longitude"])
    for axis, exact in BARCELONA.items():
        assert 0 < abs(seen[axis] - exact) <= 0.001001
        assert re.fullmatch(r"-?\d+(\.\d{1,5})?", str(seen[axis]))


def test_the_blur_leans_to_no_side(user: Caller, anybody: Caller) -> None:
    path = f"/v0/devices/{user.register_device(precise_location=False)['id']}"
    offsets = []
    for step in range(40):
        north = 41 + step / 100
        user.patch(path, {"latitude": north, "longitude": 2})
        offsets.append(anybody.get(path).json["location"]["latitude"] - north)

    assert any(offset > 0 for offset in offsets)
    assert any(offset < 0 for offset in offsets)


def test_nobody_finds_an_exact_place_that_is_hidden(user: Caller, anybody: Caller) -> None:
    """Neither by a search around it nor by a box nor by its geohash."""
    device = user.register_device(precise_location=False, **BARCELONA)
    seen = anybody.get(f"/v0/devices/{device['id']}").json["location"]
    exact = f"{BARCELONA['latitude']},{BARCELONA['longitude']}"
    shown = f"{seen['latitude']},{seen['longitude']}"

    def finds(**query: Any) -> bool:
        answer = anybody.get("/v0/devices", query_string={"q[id_eq]": device["id"], **query})
        return [found["id"] for found in answer.json] == [device["id"]]

    assert not finds(near=exact, within=0.0001)
    assert finds(near=shown, within=0.0001)
    assert not finds(**{"q[geohash_eq]": geohash(*BARCELONA.values())})
    assert finds(**{"q[geohash_eq]": seen["geohash"]})


def test_near_orders_by_distance_and_within_ends_it(user: Caller, anybody: Caller) -> None:
    places = {"far": (41.0, 2.0), "near": (41.39, 2.19), "middle": (41.45, 2.25), "nowhere": (None, None)}
    for name, (latitude, longitude) in places.items():
        user.register_device(name=name, latitude=latitude, longitude=longitude)

    def names(**query: Any) -> list[str]:
        answer = anybody.get("/v0/devices", query_string={"q[owner_id_eq]": user.user["id"], **query})
        return [device["name"] for device in answer.json]

    assert names(near="41.39,2.19") == ["near", "middle", "far"]
    assert names(near="41.39, 2.19", within=10) == ["near", "middle"]
    assert names(bbox="2.1,41.3,2.2,41.4") == ["near"]
    assert names(bbox="2.2,41.3,2.1,41.5") == ["middle"]  # round the Earth, but for what lies between
    for wrong in (
        {"near": "here"},
        {"near": "91,0"},
        {"bbox": "1,2,3"},
        {"near": "41.3,2", "within": "far"},
        {"within": "nan"},
    ):
        assert anybody.get("/v0/devices", query_string=wrong).status_code == 400


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((41.39699, 2.19456), ("Barcelona", "ES")),  # Poblenou, whose own entry is nearer
        ((41.45, 2.247), ("Badalona", "ES")),
        ((-1.29, 36.82), ("Nairobi", "KE")),
        ((0.0, -30.0), (None, None)),
        ((-18.14, 178.44), ("Suva", "FJ")),
    ],
)
def test_a_city_is_found_without_the_network(place: tuple[float, float], expected: tuple[str, str]) -> None:
    assert city_of(Place(*place)) == expected


def test_geohashes_are_those_of_the_papers() -> None:
    assert geohash(57.64911, 10.40744) == "u4pruydqqv"
    assert geohash(90, 180) == "zzzzzzzzzz"


@pytest.mark.parametrize("size", [1, 30])
def test_a_list_takes_the_same_few_queries_whatever_its_size(
    user: Caller, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for number in range(size):
        user.register_device(name=f"{number}", kit_id=26)
    executed: list[Any] = []
    original = psycopg.Cursor.execute

    def counting(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        executed.append(query)
        return original(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    answer = user.get("/v0/devices", query_string={"q[owner_id_eq]": user.user["id"], "per_page": 100})

    assert len(answer.json) == size
    assert len(executed) == 7  # who asks, how many, which, and four for what is shown of them
