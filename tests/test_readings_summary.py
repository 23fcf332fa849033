"""What a device has, what a measurement's latest values are, and who may see it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from readings import receive
from waiting import refresh_all

from sql import DictConnection

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def measurement_id(conn: DictConnection) -> int:
    """The measurement of sensor 55, air temperature."""
    row = conn.execute("SELECT measurement_id FROM sensors WHERE id = 55").fetchone()
    assert row is not None
    return int(row["measurement_id"])


def test_a_summary_counts_each_components_readings_and_says_from_when_to_when(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    now = datetime.now(UTC).replace(microsecond=0)
    receive(conn, device["id"], s55=[(NOON, 1.0), (NOON + MINUTE, 2.0)], s56=[(NOON, 3.0)])
    refresh_all(conn)
    # late, of a day that has been refreshed; and of now
    receive(conn, device["id"], s55=[(NOON + 2 * MINUTE, 3.0), (NOON - 40 * 1440 * MINUTE, 3.0), (now, 4.0)])

    for _ in range(2):  # before and after a refresh
        body = anybody.get(f"/v0/devices/{device['id']}/readings/summary").json

        assert (body["count"], body["first_reading_at"]) == (6, "2025-12-06T12:00:00Z")
        assert body["last_reading_at"] == f"{now:%Y-%m-%dT%H:%M:%SZ}"
        about = [[c["sensor_id"], c["count"], c["first_reading_at"]] for c in body["components"]]
        assert sorted(about) == [[55, 5, "2025-12-06T12:00:00Z"], [56, 1, "2026-01-15T12:00:00Z"]]
        refresh_all(conn)


def test_a_summary_names_what_has_sent_nothing_too_by_the_names_of_the_sensors(
    user: Caller, conn: DictConnection
) -> None:
    device_id = user.register_device(kit_id=26)["id"]
    receive(conn, device_id, s55=[(NOON, 1.0)])

    components = user.get(f"/v0/devices/{device_id}/readings/summary").json["components"]

    counts = {component["sensor_id"]: component["count"] for component in components}
    assert (counts.pop(55), set(counts.values())) == (1, {0})
    names = [component["sensor_name"] for component in components]
    order = conn.execute("SELECT name FROM unnest(%s::text[]) AS s (name) ORDER BY name", [names]).fetchall()
    assert names == [row["name"] for row in order]


def test_a_device_that_never_sent_has_a_summary_of_nothing(user: Caller, anybody: Caller) -> None:
    device = user.register_device()

    body = anybody.get(f"/v0/devices/{device['id']}/readings/summary").json

    assert (body["count"], body["first_reading_at"], body["components"]) == (0, None, [])


def test_a_summary_is_sent_again_only_after_a_write(user: Caller, anybody: Caller, conn: DictConnection) -> None:
    path = f"/v0/devices/{user.register_device()['id']}/readings/summary"
    etag = {"If-None-Match": anybody.get(path).headers["ETag"]}
    assert anybody.get(path, headers=etag).status_code == 304

    receive(conn, int(path.split("/")[3]), s55=[(NOON, 1.0)])

    assert anybody.get(path, headers=etag).json["count"] == 1


Values = Callable[[Caller], dict[int, Any]]


@pytest.fixture
def values(measurement_id: int) -> Values:
    def values(caller: Caller) -> dict[int, Any]:
        """Return the latest temperatures that somebody sees, by device."""
        body = caller.get(f"/v0/measurements/{measurement_id}/latest").json
        assert body["measurement"]["id"] == measurement_id
        return {value["device_id"]: value for value in body["values"]}

    return values


def test_the_latest_values_are_those_of_every_device_that_one_may_see(
    user: Caller, anybody: Caller, admin: Caller, new_user: Callable[[], Caller], conn: DictConnection, values: Values
) -> None:
    shown = user.register_device(name="Roof", latitude=41.4, longitude=2.2)
    hidden = user.register_device(is_private=True)
    for device in (shown, hidden):
        receive(conn, device["id"], s55=[(NOON, 20.5), (NOON - MINUTE, 1.0)], s56=[(NOON + MINUTE, 40.0)])

    mine = values(user)[shown["id"]]

    assert (mine["value"], mine["recorded_at"], mine["device_name"]) == (20.5, "2026-01-15T12:00:00Z", "Roof")
    assert mine["location"] == {"latitude": 41.4, "longitude": 2.2}
    sees = {name: hidden["id"] in values(caller) for name, caller in {"user": user, "admin": admin}.items()}
    assert sees == {"user": True, "admin": True}
    for stranger in (anybody, new_user()):
        assert (shown["id"] in values(stranger), hidden["id"] in values(stranger)) == (True, False)


def test_as_geojson_each_component_is_a_feature_at_its_public_place(
    user: Caller, anybody: Caller, conn: DictConnection, measurement_id: int
) -> None:
    blurred = user.register_device(latitude=41.41234, longitude=2.21234, precise_location=False)
    nowhere = user.register_device()
    for device in (blurred, nowhere):
        receive(conn, device["id"], s55=[(NOON, 20.5)])

    answer = anybody.get(f"/v0/measurements/{measurement_id}/latest", headers={"Accept": "application/geo+json"})

    assert answer.mimetype == "application/geo+json"
    assert "Accept" in answer.headers["Vary"]
    features = {feature["properties"]["device_id"]: feature for feature in answer.json["features"]}
    assert features[nowhere["id"]]["geometry"] is None
    point = features[blurred["id"]]["geometry"]
    assert point["type"] == "Point"
    longitude, latitude = point["coordinates"]
    assert (longitude, latitude) != (2.21234, 41.41234)
    assert (longitude, latitude) == pytest.approx((2.21234, 41.41234), abs=0.01)


def test_an_archived_devices_values_are_gone(
    user: Caller, anybody: Caller, conn: DictConnection, values: Values
) -> None:
    device = user.register_device()
    receive(conn, device["id"], s55=[(NOON, 20.5)])
    assert device["id"] in values(anybody)

    user.delete(f"/v0/devices/{device['id']}")

    assert device["id"] not in values(anybody)


def test_the_latest_values_come_newest_first_and_without_those_of_devices_for_tests(
    user: Caller, anybody: Caller, conn: DictConnection, values: Values
) -> None:
    old, new, middle, trial = (user.register_device()["id"] for _ in range(4))
    for device_id, minutes in ((old, 0), (new, 2), (middle, 1), (trial, 3)):
        receive(conn, device_id, s55=[(NOON + minutes * MINUTE, 20.5)])
    conn.execute("UPDATE devices SET is_test = true WHERE id = %s", [trial])

    ours = [device_id for device_id in values(anybody) if device_id in (old, new, middle, trial)]

    assert ours == [new, middle, old]


def test_an_unknown_measurement_is_a_404(anybody: Caller) -> None:
    assert anybody.get("/v0/measurements/99999999/latest").status_code == 404
