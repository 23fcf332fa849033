"""The catalogue over HTTP: everybody reads it, admins write it, and components of private devices stay private."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from caller import Caller

SENSOR = {
    *("id", "uuid", "parent_id", "name", "description", "default_key", "unit", "unit_definition", "datasheet"),
    *("minimum", "maximum", "stuck_after"),
    *("equation", "tags", "measurement", "created_at", "updated_at"),
}
MEASUREMENT = {"id", "uuid", "name", "description", "unit", "definition", "created_at", "updated_at"}
TAG = {"id", "uuid", "name", "description", "created_at", "updated_at"}
TAG_SENSOR = TAG - {"uuid"}
COMPONENT = {
    *("id", "uuid", "device_id", "sensor_id", "key", "interval", "last_reading_at", "created_at", "updated_at"),
}


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json]


def new_name() -> str:
    return f"Thing {uuid4()}"


@pytest.mark.parametrize(
    ("path", "keys"),
    [("sensors", SENSOR), ("measurements", MEASUREMENT), ("tag_sensors", TAG_SENSOR)],
)
def test_the_catalogue_is_listed_and_shown_to_anybody(anybody: Caller, path: str, keys: set[str]) -> None:
    listed = anybody.get(f"/v0/{path}/?per_page=1000")
    shown = anybody.get(f"/v0/{path}/{listed.json[0]['id']}")

    assert {frozenset(item) for item in listed.json} == {frozenset(keys)}
    assert shown.json == listed.json[0]
    assert listed.headers["Total"] == str(len(listed.json))
    assert anybody.get(f"/v0/{path}/999999").status_code == 404


def test_a_list_is_ordered_by_id_and_paged(anybody: Caller) -> None:
    everything = ids(anybody.get("/v0/sensors?per_page=1000"))

    pages = ids(anybody.get("/v0/sensors?per_page=100")) + ids(anybody.get("/v0/sensors?per_page=100&page=2"))

    assert everything == sorted(everything)
    assert pages == everything[:200]
    assert ids(anybody.get("/v0/sensors?page=100000")) == []


def test_sensors_are_filtered_and_sorted(anybody: Caller) -> None:
    assert ids(anybody.get("/v0/sensors?q[default_key_eq]=t")) == [55]
    assert ids(anybody.get("/v0/sensors?q[ancestry_eq]=54")) == [55, 56]
    assert ids(anybody.get("/v0/sensors?q[parent_id_eq]=54&q[s]=id desc")) == [56, 55]
    refused = anybody.get("/v0/sensors?q[proposed_by_eq]=1")
    assert (refused.status_code, refused.json["id"]) == (400, "bad_request")


def test_an_admin_adds_a_sensor_with_all_there_is_to_say(admin: Caller) -> None:
    about = {
        "name": new_name(),
        "description": "On the roof",
        "unit": "Cel",
        "measurement_id": 1,
        "parent_id": 54,
        "datasheet": "https://example.org/sheet.pdf",
        "default_key": "roof_t",
        "tags": ["RAW"],
    }

    sensor = admin.post("/v0/sensors", about)

    assert sensor.status_code == 201
    made = {key: sensor.json[key] for key in ("unit", "unit_definition", "parent_id", "default_key", "tags")}
    assert made == {"unit": "ºC", "unit_definition": "Cel", "parent_id": 54, "default_key": "roof_t", "tags": ["raw"]}
    assert sensor.json["measurement"]["id"] == 1


@pytest.mark.parametrize("method", ["patch", "put"])
def test_an_admin_changes_what_is_sent_and_nothing_else(admin: Caller, method: str) -> None:
    made = admin.post("/v0/sensors", {"name": new_name(), "description": "", "unit": "V", "tags": ["raw"]}).json

    changed = getattr(admin, method)(f"/v0/sensors/{made['id']}", {"description": "On the roof", "tags": []}).json

    assert changed == {**made, "description": "On the roof", "tags": [], "updated_at": changed["updated_at"]}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"parent_id": 999_999}, "parent_id"),
        ({"measurement_id": 999_999}, "measurement_id"),
        ({"unit": "furlong"}, "unit"),
        ({"tags": ["nothing"]}, "tags"),
        ({"default_key": "55"}, "default_key"),
        ({"datasheet": "javascript:alert(1)"}, "datasheet"),
    ],
)
def test_a_wrong_field_of_a_sensor_is_named(admin: Caller, fields: dict[str, Any], wrong: str) -> None:
    answer = admin.post("/v0/sensors", {"name": new_name(), "description": "", **fields})

    assert (answer.status_code, list(answer.json["errors"])) == (422, [wrong])


def test_a_sensor_cannot_sit_on_itself(admin: Caller) -> None:
    board = admin.post("/v0/sensors", {"name": new_name(), "description": ""}).json["id"]
    chip = admin.post("/v0/sensors", {"name": new_name(), "description": "", "parent_id": board}).json["id"]
    channel = admin.post("/v0/sensors", {"name": new_name(), "description": "", "parent_id": chip}).json["id"]

    for parent_id in (board, chip, channel):
        answer = admin.patch(f"/v0/sensors/{board}", {"parent_id": parent_id})
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["parent_id"])


def test_an_admin_adds_and_changes_measurements(admin: Caller) -> None:
    name = new_name()
    made = admin.post("/v0/measurements", {"name": name, "description": "x", "unit": "%"}).json

    changed = admin.patch(f"/v0/measurements/{made['id']}", {"definition": "https://example.org"}).json
    again = admin.post("/v0/measurements", {"name": name, "description": "x"})
    other = admin.patch("/v0/measurements/1", {"name": name})

    assert changed == {**made, "definition": "https://example.org", "updated_at": changed["updated_at"]}
    assert (again.status_code, list(again.json["errors"])) == (422, ["name"])
    assert (other.status_code, list(other.json["errors"])) == (422, ["name"])


def test_an_admin_makes_changes_and_deletes_tags(admin: Caller, anybody: Caller) -> None:
    name = new_name()
    made = admin.post("/v0/tags", {"name": name, "description": "Where it is"})
    assert (made.status_code, set(made.json)) == (201, TAG)

    assert anybody.get(f"/v0/tags/{name.upper()}").json == made.json
    assert anybody.get(f"/v0/tags/{made.json['id']}").json == made.json
    assert made.json in anybody.get("/v0/tags?per_page=1000").json
    assert admin.patch(f"/v0/tags/{name}", {"description": None}).json["description"] is None
    assert admin.delete(f"/v0/tags/{made.json['id']}").json == {"message": "OK"}
    assert anybody.get(f"/v0/tags/{name}").status_code == 404


def test_a_tags_name_is_one_tags_in_any_case(admin: Caller) -> None:
    name = new_name()
    for path in ("tags", "tag_sensors"):
        assert admin.post(f"/v0/{path}", {"name": name}).status_code == 201
        again = admin.post(f"/v0/{path}", {"name": name.upper()})
        assert (again.status_code, list(again.json["errors"])) == (422, ["name"])


@pytest.mark.parametrize("name", ["", "12", "a,b", "a|b", "a/b", " a", "a "])
def test_a_tags_name_can_be_written_in_lists_and_paths(admin: Caller, name: str) -> None:
    answer = admin.post("/v0/tags", {"name": name})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["name"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "sensors", {"name": "x", "description": "x"}),
        ("patch", "sensors/55", {}),
        ("put", "sensors/55", {}),
        ("post", "measurements", {"name": "x", "description": "x"}),
        ("patch", "measurements/1", {}),
        ("put", "measurements/1", {}),
        ("post", "tags", {"name": "x"}),
        ("patch", "tags/1", {}),
        ("put", "tags/1", {}),
        ("delete", "tags/1", None),
        ("post", "tag_sensors", {"name": "x"}),
    ],
)
def test_only_admins_write_the_catalogue(
    anybody: Caller, user: Caller, method: str, path: str, body: dict[str, Any] | None
) -> None:
    for caller in (anybody, user):
        answer = caller._call(method.upper(), f"/v0/{path}", {} if body is None else {"json": body})
        assert (answer.status_code, answer.json["id"]) == (403, "forbidden")


def test_components_of_private_devices_are_shown_to_their_owner_and_admins_alone(
    anybody: Caller, user: Caller, new_user: Callable[..., Caller], admin: Caller
) -> None:
    public = user.register_device(kit_id=26)["id"]
    private = user.register_device(kit_id=26, is_private=True)["id"]
    of_private = [item for item in every_component(user) if item["device_id"] == private]

    assert {frozenset(item) for item in of_private} == {frozenset(COMPONENT)}
    for caller, devices in (
        (anybody, {public}),
        (new_user(), {public}),
        (user, {public, private}),
        (admin, {public, private}),
    ):
        seen = {item["device_id"] for item in every_component(caller)}
        assert seen & {public, private} == devices
        shown = caller.get(f"/v0/components/{of_private[0]['id']}")
        assert shown.status_code == (200 if private in devices else 403)


def every_component(caller: Caller) -> list[dict[str, Any]]:
    page, components = 1, []
    while items := caller.get(f"/v0/components?per_page=1000&page={page}").json:
        components += items
        page += 1
    return components


def test_a_component_that_does_not_exist_is_not_found(anybody: Caller) -> None:
    assert anybody.get("/v0/components/2147483647").status_code == 404
