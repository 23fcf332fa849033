"""Kits: whoever signs in describes a device once, of sensors that exist or that come with it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from caller import Caller
from readings import receive

from sql import DictConnection, queries

KIT = {
    *("id", "uuid", "slug", "name", "description", "owner_id", "components", "created_at", "updated_at"),
    *("publish_interval", "settings", "settings_schema"),
}
COMPONENT = {"sensor_id", "key", "interval", "enabled", "equation", "sensor"}
SENSOR = {
    *("id", "uuid", "parent_id", "name", "description", "default_key", "unit", "unit_definition", "datasheet"),
    *("minimum", "maximum", "stuck_after"),
    *("equation", "tags", "measurement", "created_at", "updated_at"),
}
MEASUREMENT = {"id", "uuid", "name", "description", "unit", "definition"}


def make(user: Caller, *components: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = user.post("/v0/kits", {"name": "Greenhouse", "components": list(components), **fields})
    assert answer.status_code == 201, answer.text
    return answer.json


def refusal(user: Caller, *components: dict[str, Any], **fields: Any) -> dict[str, list[str]]:
    answer = user.post("/v0/kits", {"name": "Greenhouse", "components": list(components), **fields})
    assert answer.status_code == 422, answer.text
    return answer.json["errors"]


def keys(kit: dict[str, Any]) -> dict[int, str]:
    return {component["sensor_id"]: component["key"] for component in kit["components"]}


def test_a_name_and_a_sensor_are_enough(user: Caller) -> None:
    kit = make(user, {"sensor_id": 55})

    assert set(kit) == KIT
    assert set(kit["components"][0]) == COMPONENT
    assert set(kit["components"][0]["sensor"]) == SENSOR
    assert set(kit["components"][0]["sensor"]["measurement"]) == MEASUREMENT
    assert (kit["owner_id"], keys(kit)) == (user.user["id"], {55: "t"})


@pytest.mark.parametrize("reference", ["id", "uuid", "slug"])
def test_a_kit_is_found_by_its_id_its_uuid_and_its_slug(anybody: Caller, user: Caller, reference: str) -> None:
    kit = make(user, {"sensor_id": 55})

    assert anybody.get(f"/v0/kits/{kit[reference]}").json == kit


def test_kits_are_listed_by_page(anybody: Caller, user: Caller) -> None:
    kit = make(user, {"sensor_id": 55})

    first = anybody.get("/v0/kits?per_page=2")
    everything = anybody.get("/v0/kits?per_page=1000")

    assert [known["slug"] for known in first.json] == ["sck:1,0", "sck:1,1"]
    assert (first.headers["Total"], first.headers["Per-Page"]) == (str(len(everything.json)), "2")
    assert 'rel="next"' in first.headers["Link"]
    assert kit in everything.json


def test_a_sensor_is_named_by_id_by_uuid_or_by_a_default_key_of_its_own(anybody: Caller, user: Caller) -> None:
    sck = anybody.get("/v0/kits/sck:2,1").json
    uuid = next(c["sensor"]["uuid"] for c in sck["components"] if c["sensor_id"] == 56)

    kit = make(user, {"sensor_id": 55}, {"sensor_uuid": uuid}, {"sensor_key": "noise_dba"})

    assert keys(kit) == {53: "noise_dba", 55: "t", 56: "h"}


def test_a_default_key_of_several_sensors_is_refused_with_their_ids(user: Caller) -> None:
    assert refusal(user, {"sensor_key": "no2"}) == {
        "components.0.sensor_key": ["no2 is the default key of the sensors 8, 15, 153: send sensor_id"]
    }


def test_a_new_sensor_and_a_new_measurement_come_in_the_same_request(user: Caller) -> None:
    name = f"Sap flow {uuid4()}"
    sensor = {"name": "Flow meter", "unit": "mm/h", "measurement": {"name": name, "unit": "mm/h"}}

    kit = make(user, {"sensor": sensor, "key": "sap", "interval": 900}, {"sensor_id": 55})

    made = next(component for component in kit["components"] if component["key"] == "sap")
    assert made["interval"] == 900
    assert made["sensor_id"] >= 10_000
    assert made["sensor"]["measurement"]["name"] == name
    assert (made["sensor"]["unit"], made["sensor"]["unit_definition"]) == ("mm/h", "mm/h")


def test_a_measurement_of_that_name_is_reused(user: Caller) -> None:
    kit = make(user, {"sensor": {"name": "Probe", "unit": "Cel", "measurement": {"name": "air temperature"}}})

    sensor = kit["components"][0]["sensor"]
    assert (sensor["measurement"]["id"], sensor["unit"], sensor["unit_definition"]) == (1, "ºC", "Cel")


def test_only_a_true_second_of_a_default_key_is_numbered(user: Caller) -> None:
    kit = make(user, {"sensor_id": 8}, {"sensor_id": 15}, {"sensor_id": 153}, {"sensor_id": 55}, {"sensor_id": 113})

    assert keys(kit) == {8: "no2", 15: "no2_2", 153: "no2_3", 55: "t", 113: "tvoc"}


def test_a_key_that_is_given_goes_before_a_default_key(user: Caller) -> None:
    kit = make(user, {"sensor_id": 55}, {"sensor_id": 79, "key": "t"})

    assert keys(kit) == {55: "t_2", 79: "t"}


def test_every_wrong_component_is_told_by_its_place(user: Caller) -> None:
    errors = refusal(
        user,
        {"sensor_id": 999_999},
        {"sensor_key": "nothing"},
        {"sensor": {"name": "x", "unit": "V", "parent_id": 999_999}},
        {"sensor": {"name": "x", "unit": "V", "measurement_id": 999_999}},
        {"sensor": {"name": "x", "unit": "V", "default_key": "t"}},
    )

    assert errors == {
        "components.0.sensor_id": ["there is no sensor 999999"],
        "components.1.sensor_key": ["there is no sensor nothing"],
        "components.2.sensor.parent_id": ["there is no sensor 999999"],
        "components.3.sensor.measurement_id": ["there is no measurement 999999"],
        "components.4.sensor.default_key": ["t is that of sensor 55: use it, or another key"],
    }


@pytest.mark.parametrize(
    ("component", "field"),
    [
        ({}, "components.0.sensor_id"),
        ({"sensor_id": 55, "sensor_key": "t"}, "components.0.sensor_id"),
        ({"sensor_id": 55, "key": "55"}, "components.0.key"),
        ({"sensor_id": 55, "key": "a,b"}, "components.0.key"),
        ({"sensor_id": 55, "key": "sensor_56"}, "components.0.key"),
        ({"sensor_id": 55, "interval": 0}, "components.0.interval"),
        ({"sensor": {"name": "x"}}, "components.0.sensor.unit"),
        ({"sensor": {"name": "x", "unit": "furlong"}}, "components.0.sensor.unit"),
    ],
)
def test_a_malformed_component_is_refused(user: Caller, component: dict[str, Any], field: str) -> None:
    assert list(refusal(user, component)) == [field]


def test_a_sensor_or_a_key_stands_once_in_a_kit(user: Caller) -> None:
    assert list(refusal(user, {"sensor_id": 55}, {"sensor_key": "t"})) == ["components.1.sensor_id"]
    assert list(refusal(user, {"sensor_id": 55, "key": "a"}, {"sensor_id": 56, "key": "a"})) == ["components.1.key"]


def test_a_unit_that_is_written_otherwise_is_suggested(user: Caller) -> None:
    errors = refusal(user, {"sensor": {"name": "x", "unit": "°c"}})

    assert errors["components.0.sensor.unit"][0].endswith("did you mean ºC?")


def test_nothing_is_made_when_one_component_is_wrong(user: Caller, conn: DictConnection) -> None:
    name = f"Sap flow {uuid4()}"
    sensor = {"name": name, "unit": "mm/h", "measurement": {"name": name}}

    refusal(user, {"sensor": sensor}, {"sensor_id": 999_999}, name=name)

    for table in ("kits", "sensors", "measurements"):
        assert conn.execute(f"SELECT count(*) AS n FROM {table} WHERE name = %s", [name]).fetchone() == {"n": 0}


def test_a_slug_is_one_kits_and_is_made_of_the_name_where_none_is_given(user: Caller) -> None:
    name = f"Roof  {uuid4()}"
    first, second = make(user, {"sensor_id": 55}, name=name), make(user, {"sensor_id": 55}, name=name)

    assert first["slug"] == name.lower().replace("  ", "-")
    assert second["slug"].startswith(first["slug"] + "-")
    assert list(refusal(user, {"sensor_id": 55}, slug=first["slug"])) == ["slug"]
    assert list(refusal(user, {"sensor_id": 55}, slug="26")) == ["slug"]


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_change_replaces_what_is_sent_and_leaves_the_rest(user: Caller, method: str) -> None:
    kit = make(user, {"sensor_id": 55}, description="For tomatoes")

    changed = getattr(user, method)(f"/v0/kits/{kit['id']}", {"name": "Roof", "components": [{"sensor_id": 56}]}).json

    assert (changed["name"], changed["description"], keys(changed)) == ("Roof", "For tomatoes", {56: "h"})
    assert {key: changed[key] for key in ("id", "uuid", "slug")} == {key: kit[key] for key in ("id", "uuid", "slug")}


def test_only_its_owner_and_admins_change_a_kit(anybody: Caller, user: Caller, admin: Caller, new_user: Any) -> None:
    path = f"/v0/kits/{make(user, {'sensor_id': 55})['id']}"

    assert anybody.patch(path, {"name": "Mine"}).status_code == 401
    assert new_user().patch(path, {"name": "Mine"}).status_code == 403
    assert new_user().patch("/v0/kits/sck:2,1", {"name": "Mine"}).status_code == 403
    assert admin.patch(path, {"name": "Ours"}).status_code == 200


def test_a_slug_cannot_be_changed_to_another_kits(user: Caller) -> None:
    kit = make(user, {"sensor_id": 55})

    answer = user.patch(f"/v0/kits/{kit['slug']}", {"slug": "sck:2,1", "name": "Other"})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["slug"])
    assert user.get(f"/v0/kits/{kit['slug']}").json["name"] == "Greenhouse"


def test_a_kit_is_made_by_who_has_signed_in(anybody: Caller) -> None:
    assert anybody.post("/v0/kits", {"name": "x", "components": [{"sensor_id": 55}]}).status_code == 401


def test_a_device_gets_its_kits_components_with_key_and_interval(user: Caller, conn: DictConnection) -> None:
    kit = make(user, {"sensor_id": 55, "key": "air", "interval": 30}, {"sensor_id": 56})

    device = user.register_device(kit_id=kit["id"])

    rows = conn.execute(
        "SELECT sensor_id, key, interval FROM components WHERE device_id = %s ORDER BY sensor_id", [device["id"]]
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [(55, "air", 30.0), (56, "h", None)]


def test_a_device_keeps_its_components_when_its_kit_changes(user: Caller) -> None:
    kit = make(user, {"sensor_id": 55, "key": "air"})
    device = user.register_device(kit_id=kit["id"])

    user.patch(f"/v0/kits/{kit['id']}", {"components": [{"sensor_id": 56}]})

    sensors = user.get(f"/v0/devices/{device['id']}").json["data"]["sensors"]
    assert [sensor["id"] for sensor in sensors] == [55]


def test_a_component_has_an_equation_of_its_own_where_it_differs(user: Caller, anybody: Caller) -> None:
    kit = make(user, {"sensor_id": 55, "equation": "raw - 0.3 * h"}, {"sensor_id": 56})

    assert [component["equation"] for component in kit["components"]] == ["raw - 0.3 * h", None]
    (version,) = anybody.get(f"/v0/kits/{kit['id']}/calibrations").json
    assert (version["sensor_id"], version["valid_from"]) == (55, "2000-01-01T00:00:00Z")


def test_a_change_of_an_equation_holds_from_now_on_and_what_is_not_said_stays(user: Caller) -> None:
    kit = make(user, {"sensor_id": 55, "equation": "raw + 1"}, {"sensor_id": 56, "equation": "raw + 2"})
    path = f"/v0/kits/{kit['id']}"

    changed = user.patch(path, {"components": [{"sensor_id": 55, "equation": None}, {"sensor_id": 56}]}).json

    assert [component["equation"] for component in changed["components"]] == [None, "raw + 2"]
    versions = user.get(f"{path}/calibrations").json
    assert sorted((version["sensor_id"], version["equation"]) for version in versions if version["equation"]) == [
        (55, "raw + 1"),
        (56, "raw + 2"),
    ]


@pytest.mark.parametrize("equation", ["", "raw +", "__import__('os')", "raw + nothing"])
def test_what_is_no_equation_is_refused_by_its_place(user: Caller, equation: str) -> None:
    assert list(refusal(user, {"sensor_id": 56}, {"sensor_id": 55, "equation": equation})) == ["components.1.equation"]


def test_the_coverage_of_history_is_of_the_interval_that_a_kit_expects(user: Caller, conn: DictConnection) -> None:
    kit = make(user, {"sensor_id": 55, "interval": 30})
    device_id = user.register_device(kit_id=kit["id"])["id"]
    start = datetime(2026, 1, 15, 8, tzinfo=UTC)
    receive(conn, device_id, s55=[(start + timedelta(minutes=minute), 20.0) for minute in range(60)])

    times = {"from": "2026-01-15T08:00:00Z", "to": "2026-01-15T08:59:59Z"}
    (hour,) = user.history(device_id, 55, rollup="1h", coverage="true", **times)

    assert hour == ["2026-01-15T08:00:00Z", 20.0, 60, 120]


def component_keys(conn: DictConnection, device_id: int) -> dict[int, str]:
    rows = conn.execute("SELECT sensor_id, key FROM components WHERE device_id = %s", [device_id]).fetchall()
    return {row["sensor_id"]: row["key"] for row in rows}


def hear_from(conn: DictConnection, device_id: int, *sensor_ids: int) -> dict[int, str]:
    """Let a device's first datapoints of these sensors arrive in one batch, and return its components' keys."""
    queries.insert_missing_components(conn, device_ids=[device_id] * len(sensor_ids), sensor_ids=list(sensor_ids))
    return component_keys(conn, device_id)


def test_a_sensor_that_a_kit_got_later_has_the_kits_key_when_it_is_first_heard(
    user: Caller, conn: DictConnection
) -> None:
    kit = make(user, {"sensor_id": 55})
    device = user.register_device(kit_id=kit["id"])
    user.patch(f"/v0/kits/{kit['id']}", {"components": [{"sensor_id": 55}, {"sensor_id": 56, "key": "air_h"}]})

    assert hear_from(conn, device["id"], 56) == {55: "t", 56: "air_h"}


def test_a_key_that_a_kit_gave_to_another_sensor_is_not_taken_from_it(user: Caller, conn: DictConnection) -> None:
    kit = make(user, {"sensor_id": 55, "key": "h"})
    device = user.register_device(kit_id=kit["id"])

    assert hear_from(conn, device["id"], 56) == {55: "h", 56: "sensor_56"}


def test_a_devices_keys_do_not_depend_on_what_came_first(user: Caller, conn: DictConnection) -> None:
    together, apart = (user.register_device()["id"] for _ in range(2))
    hear_from(conn, apart, 113)  # tvoc begins with t, and pm_avg_10 with pm_avg_1
    hear_from(conn, apart, 88)

    at_once = hear_from(conn, together, 55, 88, 89, 113, 61, 62)

    assert hear_from(conn, apart, 89, 55, 62, 61) == at_once
    assert at_once == {55: "t", 88: "pm_avg_10", 89: "pm_avg_1", 113: "tvoc", 61: "sensor_61", 62: "sensor_62"}


def test_the_units_of_the_catalogue_are_those_that_may_be_proposed(anybody: Caller, conn: DictConnection) -> None:
    units = {unit["unit"] for unit in anybody.get("/v0/units").json}

    used = {row["unit"] for row in conn.execute("SELECT DISTINCT unit FROM sensors WHERE unit IS NOT NULL")}
    assert used - units == set()
