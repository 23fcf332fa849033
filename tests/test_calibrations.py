"""Calibrations through the API: who adds what, what readings and history become, and what a preview says of it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from caller import Caller
from conftest import RunningBroker
from kits import publish
from readings import receive, stored
from waiting import wait_for

from sql import DictConnection

T0 = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
T, H, NOISE = 55, 56, 53  # of kit 26: keys t, h, noise_dba
WHOLE = {"from": "2026-01-01", "to": "2026-02-01", "rollup": "1m"}


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device(kit_id=26)


def add(caller: Caller, device_id: int, sensor_id: int, equation: str | None, **fields: Any) -> dict[str, Any]:
    asked = {"sensor_id": sensor_id, "equation": equation, "valid_from": "2000-01-01", **fields}
    answer = caller.post(f"/v0/devices/{device_id}/calibrations", asked)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json
    return added


def values(conn: DictConnection, device_id: int, sensor_id: int) -> list[float | None]:
    return [row[2] for row in stored(conn, device_id, sensor_id)]


@pytest.mark.usefixtures("ingestor")
def test_a_reading_is_shown_calibrated_from_the_next_batch_on_and_its_raw_as_it_was_sent(
    user: Caller, device: dict[str, Any], broker: RunningBroker
) -> None:
    add(user, device["id"], T, "raw - 0.1 * (h - 50)")

    publish(broker, device["device_token"], "readings/raw", b"{t:2026-01-15T08:30:00Z,55:20,56:60}")

    wait_for(lambda: user.history(device["id"], T, **WHOLE))
    assert user.history(device["id"], T, **WHOLE) == [["2026-01-15T08:30:00Z", 19.0]]
    assert user.history(device["id"], T, **WHOLE, raw="true") == [["2026-01-15T08:30:00Z", 20.0]]
    shown = user.get(f"/v0/devices/{device['id']}").json["data"]["sensors"]
    assert [sensor["value"] for sensor in shown if sensor["id"] == T] == [19.0]


def test_history_follows_a_new_calibration(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    receive(conn, device["id"], s55=[(T0, 20), (T0 + MINUTE, 21)])
    history = f"/v0/devices/{device['id']}/readings?sensor_id={T}&rollup=1m&from=2026-01-01&to=2026-02-01"
    etag = user.get(history).headers["ETag"]

    added = add(user, device["id"], T, "raw + 1")
    work()

    assert added["recalibrations"] == 1
    assert user.history(device["id"], T, **WHOLE) == [["2026-01-15T08:30:00Z", 21.0], ["2026-01-15T08:31:00Z", 22.0]]
    assert user.get(history, headers={"If-None-Match": etag}).status_code == 200
    assert [row[3] for row in stored(conn, device["id"], T)] == [added["id"]] * 2
    shown = user.get(f"/v0/devices/{device['id']}").json["data"]["sensors"]
    assert [(s["value"], s["prev_value"]) for s in shown if s["id"] == T] == [(22.0, 21.0)]


def test_a_version_holds_from_its_date_on_and_until_the_next(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    receive(conn, device["id"], s55=[(T0 + day * DAY, 1) for day in range(4)])

    add(user, device["id"], T, "raw * 3", valid_from=f"{T0 + 3 * DAY}")
    add(user, device["id"], T, "raw * 2", valid_from=f"{T0 + DAY}")
    work()

    assert values(conn, device["id"], T) == [1, 2, 2, 3]


def test_a_version_of_the_same_date_takes_the_place_of_another_which_stays_on_the_list(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    receive(conn, device["id"], s55=[(T0, 1)])
    first = add(user, device["id"], T, "raw * 2", note="a guess")

    second = add(user, device["id"], T, "raw * 3", note="measured")
    work()

    assert values(conn, device["id"], T) == [3]
    listed = user.get(f"/v0/devices/{device['id']}/calibrations?sensor_id={T}").json
    assert [(c["id"], c["superseded"], c["note"]) for c in listed] == [
        (second["id"], False, "measured"),
        (first["id"], True, "a guess"),
    ]
    assert listed[0]["author"] == user.user["username"]


def test_no_version_can_be_edited_or_removed(user: Caller, device: dict[str, Any]) -> None:
    added = add(user, device["id"], T, "raw * 2")

    for change in (user.patch, user.put, user.delete):
        assert change(f"/v0/devices/{device['id']}/calibrations/{added['id']}").status_code in (404, 405)


def test_a_null_equation_hands_over_to_the_kits(user: Caller, conn: DictConnection, work: Callable[[], None]) -> None:
    device = user.register_device(kit_id=3)
    receive(conn, device["id"], s14=[(T0, 509)])
    add(user, device["id"], 14, "raw")
    work()
    assert values(conn, device["id"], 14) == [509]

    add(user, device["id"], 14, None)
    work()

    assert values(conn, device["id"], 14) == [50.9]


def test_a_kits_version_reaches_all_its_devices_but_those_with_their_own(
    user: Caller, new_user: Callable[..., Caller], conn: DictConnection, work: Callable[[], None]
) -> None:
    kit = user.post("/v0/kits", {"name": "Greenhouse", "components": [{"sensor_id": T}]}).json
    own, other = (caller.register_device(kit_id=kit["id"]) for caller in (user, new_user()))
    for device in (own, other):
        receive(conn, device["id"], s55=[(T0, 1)])
    add(user, own["id"], T, "raw * 2")

    answer = user.post(
        f"/v0/kits/{kit['slug']}/calibrations", {"sensor_id": T, "equation": "raw * 3", "valid_from": "2000-01-01"}
    )
    work()

    assert (answer.status_code, answer.json["scope"], answer.json["recalibrations"]) == (201, "kit", 2)
    assert values(conn, own["id"], T) + values(conn, other["id"], T) == [2, 3]
    assert user.get(f"/v0/kits/{kit['slug']}").json["components"][0]["equation"] == "raw * 3"


def test_a_sensors_version_reaches_every_device(
    admin: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    sensor = admin.post("/v0/sensors", {"name": "Probe", "description": ""}).json
    receive(conn, device["id"], **{f"s{sensor['id']}": [(T0, 1)]})

    answer = admin.post(f"/v0/sensors/{sensor['id']}/calibrations", {"equation": "raw / 4", "valid_from": "2000-01-01"})
    work()

    assert answer.status_code == 201, answer.text
    assert values(conn, device["id"], sensor["id"]) == [0.25]
    assert [c["equation"] for c in admin.get(f"/v0/sensors/{sensor['id']}/calibrations").json] == ["raw / 4"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"equation": "raw * (2"}, "equation: at character 9: a closing parenthesis is missing"),
        ({"equation": "raw * rh"}, "equation: this device has no component with the key 'rh'; it has "),
        ({"equation": "raw", "sensor_id": 12}, "sensor_id: device {id} has no component of sensor 12"),
        ({"equation": "raw", "valid_from": "1999-12-31"}, "valid_from: Must be greater than or equal to 2000-01-01"),
        ({"equation": "9" * 5000}, "equation: at character 4001: an equation has at most 4000 characters"),
    ],
)
def test_a_refusal_names_the_field_and_the_way_out(
    user: Caller, device: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    answer = user.post(f"/v0/devices/{device['id']}/calibrations", {"sensor_id": T, **fields})

    assert answer.status_code == 422
    assert answer.json["message"].startswith(message.format(id=device["id"]))


@pytest.mark.parametrize("door", ["calibrations", "calibrations/preview"])
def test_no_hostile_equation_comes_through_a_door(user: Caller, device: dict[str, Any], door: str) -> None:
    listed = user.get(f"/v0/devices/{device['id']}/calibrations").json
    hostile = ("raw+" * 262_144, "abs(" * 900, "raw.__class__", "9" + "**9" * 1000, "ｒａｗ")

    for equation in hostile:
        answer = user.post(f"/v0/devices/{device['id']}/{door}", {"sensor_id": T, "equation": equation})

        assert answer.status_code == 422
        assert re.match(r"equation: at character \d+: ", answer.json["message"]), answer.text
        assert len(answer.data) < 1000
    assert user.get(f"/v0/devices/{device['id']}/calibrations").json == listed


# What devices and clients send apart


def test_what_an_equation_needs_may_come_later(user: Caller, device: dict[str, Any], conn: DictConnection) -> None:
    add(user, device["id"], T, "raw - h")

    first = receive(conn, device["id"], s55=[(T0, 20), (T0 + MINUTE, 30)])
    assert values(conn, device["id"], T) == [None, None]
    second = receive(conn, device["id"], s56=[(T0, 5)])

    assert values(conn, device["id"], T) == [15, None]
    assert [row[1] for row in stored(conn, device["id"], T)] == [20, 30]
    assert (first.stored, second.stored) == (2, 1)


def test_what_an_equation_needs_may_have_come_before(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    add(user, device["id"], T, "raw - h")

    receive(conn, device["id"], s56=[(T0, 5)])
    receive(conn, device["id"], s55=[(T0, 20)])

    assert values(conn, device["id"], T) == [15]


def test_a_corrected_input_corrects_the_value(user: Caller, device: dict[str, Any], conn: DictConnection) -> None:
    add(user, device["id"], T, "raw - h")
    receive(conn, device["id"], s55=[(T0, 20)], s56=[(T0, 5)])

    receive(conn, device["id"], s56=[(T0, 6)])

    assert values(conn, device["id"], T) == [14]
    shown = user.get(f"/v0/devices/{device['id']}").json["data"]["sensors"]
    assert [sensor["value"] for sensor in shown if sensor["id"] == T] == [14]


def test_a_missing_input_gives_null_and_keeps_the_raw(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    add(user, device["id"], T, "raw / (raw - 20) + 0 * h")

    receive(conn, device["id"], s55=[(T0, 20), (T0 + MINUTE, 21)], s56=[(T0, 1), (T0 + MINUTE, 1)])

    assert [row[1:3] for row in stored(conn, device["id"], T)] == [(20, None), (21, 21)]


# Preview


def preview(caller: Caller, device_id: int, equation: str, **fields: Any) -> dict[str, Any]:
    answer = caller.post(
        f"/v0/devices/{device_id}/calibrations/preview", {"sensor_id": T, "equation": equation, **fields}
    )
    assert answer.status_code == 200, answer.text
    previewed: dict[str, Any] = answer.json
    return previewed


def test_a_preview_shows_what_the_redo_would_store_and_stores_nothing(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    times = [T0 + n * MINUTE for n in range(50)]
    receive(conn, device["id"], s55=[(time, n) for n, time in enumerate(times)], s56=[(time, 40) for time in times])
    before = stored(conn, device["id"], T)

    previewed = preview(user, device["id"], "raw * 1.5 - h / 10")

    assert stored(conn, device["id"], T) == before
    add(user, device["id"], T, "raw * 1.5 - h / 10")
    work()
    assert [row[3] for row in reversed(previewed["readings"])] == values(conn, device["id"], T)
    assert previewed["readings"][0][1:3] == [49, 49]


def test_a_preview_refuses_a_key_that_the_device_lacks(user: Caller, device: dict[str, Any]) -> None:
    answer = user.post(f"/v0/devices/{device['id']}/calibrations/preview", {"sensor_id": T, "equation": "raw * rh"})

    assert answer.status_code == 422
    assert answer.json["message"].startswith("equation: this device has no component with the key 'rh'; it has ")


def test_a_preview_measures_the_change(user: Caller, device: dict[str, Any], conn: DictConnection) -> None:
    receive(conn, device["id"], s55=[(T0 + n * MINUTE, raw) for n, raw in enumerate([1, 2, 3, 6])])

    change = preview(user, device["id"], "raw * 2")["change"]

    assert change == {"n": 4, "bias": 3.0, "rmse": pytest.approx(np.sqrt((1 + 4 + 9 + 36) / 4))}


def test_a_preview_takes_the_chosen_week(user: Caller, device: dict[str, Any], conn: DictConnection) -> None:
    receive(conn, device["id"], s55=[(T0 + day * DAY, day) for day in range(20)])
    start = T0 + 3 * DAY

    chosen = preview(user, device["id"], "raw", **{"from": start.isoformat(), "to": (start + 7 * DAY).isoformat()})
    newest = preview(user, device["id"], "raw")

    assert [row[1] for row in chosen["readings"]] == [9, 8, 7, 6, 5, 4, 3]
    assert [row[1] for row in newest["readings"]] == [19, 18, 17, 16, 15, 14, 13]


def test_a_preview_leaves_out_of_its_measures_what_has_no_value(
    user: Caller, new_user: Callable[..., Caller], device: dict[str, Any], conn: DictConnection
) -> None:
    station = new_user().register_device(kit_id=26)
    times = [T0 + n * MINUTE for n in range(3)]
    receive(conn, device["id"], s55=list(zip(times, [0.0, 1.0, 2.0], strict=True)))
    receive(conn, station["id"], s55=[(T0, 3.0)])

    previewed = preview(user, device["id"], "2 / raw", reference_device_id=station["id"])

    assert [row[3] for row in reversed(previewed["readings"])] == [None, 2, 1]
    assert previewed["change"] == {"n": 2, "bias": 0.0, "rmse": 1.0}
    assert [row[1:] for row in previewed["reference"]["hours"]] == [[3, 1, 1.5]]


def test_a_preview_where_nothing_has_been_measured_is_empty(
    user: Caller, new_user: Callable[..., Caller], device: dict[str, Any]
) -> None:
    station = new_user().register_device(kit_id=26)

    previewed = preview(user, device["id"], "raw * 2", reference_device_id=station["id"])

    nothing = {"n": 0, "bias": None, "rmse": None}
    assert (previewed["readings"], previewed["change"]) == ([], nothing)
    assert (previewed["reference"]["hours"], previewed["reference"]["new"]) == ([], nothing)


def test_a_preview_of_more_readings_than_it_computes_asks_for_a_shorter_range(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.preview._MOST", 3)
    receive(conn, device["id"], s55=[(T0 + n * MINUTE, n) for n in range(4)])
    asked = {"sensor_id": T, "equation": "raw"}

    answer = user.post(f"/v0/devices/{device['id']}/calibrations/preview", asked)

    assert answer.status_code == 422
    assert "at most 3 readings: ask for a shorter range" in answer.text


def test_a_preview_compares_with_a_device_beside_it_by_hourly_means(
    user: Caller, new_user: Callable[..., Caller], device: dict[str, Any], conn: DictConnection
) -> None:
    station = new_user().register_device(kit_id=26)
    hours = [datetime(2026, 1, 15, hour, tzinfo=UTC) for hour in range(8, 12)]
    ours = [(hour + n * 10 * MINUTE, raw + n) for hour, raw in zip(hours, [1, 3, 5, 7], strict=True) for n in range(3)]
    receive(conn, device["id"], s55=ours)
    receive(conn, station["id"], s55=list(zip(hours[1:], [8.0, 13.0, 16.0], strict=True)))

    reference = preview(user, device["id"], "raw * 2", reference_device_id=station["id"])["reference"]

    assert [row[1:] for row in reversed(reference["hours"])] == [[8, 4, 8], [13, 6, 12], [16, 8, 16]]
    assert reference["old"] == {
        "n": 3,
        "bias": pytest.approx(-19 / 3),
        "rmse": pytest.approx(np.sqrt((16 + 49 + 64) / 3)),
    }
    assert reference["new"] == {"n": 3, "bias": pytest.approx(-1 / 3), "rmse": pytest.approx(np.sqrt(1 / 3))}


def test_a_preview_beside_somebodys_private_device_is_refused(
    user: Caller, new_user: Callable[..., Caller], device: dict[str, Any]
) -> None:
    private = new_user().register_device(kit_id=26, is_private=True)
    asked = {"sensor_id": T, "equation": "raw", "reference_device_id": private["id"]}

    answer = user.post(f"/v0/devices/{device['id']}/calibrations/preview", asked)

    assert answer.status_code == 403


def test_a_preview_of_too_long_a_range_says_how_much_it_takes(user: Caller, device: dict[str, Any]) -> None:
    asked = {"sensor_id": T, "equation": "raw", "from": "2026-01-01", "to": "2026-03-01"}

    answer = user.post(f"/v0/devices/{device['id']}/calibrations/preview", asked)

    assert (answer.status_code, answer.json["errors"]) == (
        422,
        {"from": ["2026-01-01T00:00:00Z is not before `to`, and within 31 days of it"]},
    )
