"""Roll-outs: a configuration on its way to some of many devices, to more, and back where devices complain."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from caller import Caller
from conftest import RunningBroker
from kits import publish
from waiting import wait_for

from app.jobs.config_rollouts import watch
from sql import DictConnection

FAST = {"publish_interval": 10}


@pytest.fixture
def devices(user: Caller) -> list[dict[str, Any]]:
    """Ten devices that do what their first configuration says."""
    made = [user.register_device(name=f"Device {number}") for number in range(10)]
    for device in made:
        assert user.put(f"/v0/devices/{device['id']}/config", {"publish_interval": 300}).status_code == 200
    return made


@pytest.fixture
def watched(worker_env: dict[str, str]) -> Callable[[], None]:
    """What a worker does every minute."""
    return lambda: watch() and None


def roll_out(user: Caller, percent: int, **fields: Any) -> dict[str, Any]:
    answer = user.post("/v0/config_rollouts", {"config": FAST, "percent": percent, **fields})
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def change(user: Caller, rollout: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = user.patch(f"/v0/config_rollouts/{rollout['id']}", fields)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def show(user: Caller, rollout: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = user.get(f"/v0/config_rollouts/{rollout['id']}").json
    return shown


def told(user: Caller, devices: list[dict[str, Any]], seconds: int = 10) -> list[dict[str, Any]]:
    """The devices that should publish so often."""
    return [
        device
        for device in devices
        if user.get(f"/v0/devices/{device['id']}/config").json["desired"]["publish_interval"] == seconds
    ]


def say(conn: DictConnection, devices: list[dict[str, Any]], error: str | None = None) -> None:
    """What the devices say of their newest version, as the ingestor writes it down."""
    conn.execute(
        "UPDATE device_configs SET reported_at = now(), error = %(error)s,"
        " applied_at = CASE WHEN %(error)s::text IS NULL THEN now() END"
        " WHERE (device_id, version) IN (SELECT device_id, version FROM latest_device_configs"
        " WHERE device_id = ANY(%(ids)s))",
        {"error": error, "ids": [device["id"] for device in devices]},
    )


def fail(conn: DictConnection, device: dict[str, Any], code: str, ago: str, component: str | None = None) -> None:
    conn.execute(
        "INSERT INTO device_errors (device_id, component, code, hour, count, first_time, last_time)"
        " SELECT %(id)s, %(component)s, %(code)s, at, 1, at, at FROM (SELECT now() - %(ago)s::interval AS at) AS t",
        {"id": device["id"], "component": component, "code": code, "ago": ago},
    )


def let_an_hour_pass(conn: DictConnection, rollout: dict[str, Any]) -> None:
    conn.execute(
        "UPDATE config_rollout_devices SET told_at = told_at - interval '1 hour' WHERE rollout_id = %s", [rollout["id"]]
    )
    conn.execute(
        "UPDATE config_rollouts SET running_since = running_since - interval '1 hour' WHERE id = %s", [rollout["id"]]
    )


def test_some_percent_of_the_devices_are_told_and_then_more(user: Caller, devices: list[dict[str, Any]]) -> None:
    rollout = roll_out(user, 25)
    first = told(user, devices)
    more = change(user, rollout, percent=50)
    second = told(user, devices)
    change(user, rollout, percent=100)

    assert (rollout["total"], rollout["told"], len(first)) == (10, 3, 3)
    assert (more["told"], len(second)) == (5, 5)
    assert all(device in second for device in first)
    assert told(user, devices) == devices
    for device in devices:
        assert user.get(f"/v0/devices/{device['id']}/config").json["desired"]["version"] == 2


def test_the_percentage_only_rises(user: Caller, devices: list[dict[str, Any]]) -> None:
    rollout = roll_out(user, 50)

    answer = user.patch(f"/v0/config_rollouts/{rollout['id']}", {"percent": 20})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["percent"])
    assert len(told(user, devices)) == 5


def test_a_configuration_that_one_device_does_not_allow_is_told_to_none(
    user: Caller, devices: list[dict[str, Any]]
) -> None:
    schema = {"properties": {"led": {"enum": ["on", "off"]}}}
    kit = user.post("/v0/kits", {"name": "Air", "components": [{"sensor_id": 55}], "settings_schema": schema}).json
    strict = user.register_device(kit_id=kit["id"])

    answer = user.post("/v0/config_rollouts", {"config": {**FAST, "settings": {"led": "blue"}}, "percent": 100})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["settings.led"])
    assert f"device {strict['id']}" in answer.json["message"]
    assert told(user, devices) == []


def test_of_an_experiment_those_devices_are_told_that_are_yours(
    user: Caller, new_user: Callable[..., Caller], devices: list[dict[str, Any]]
) -> None:
    other = new_user()
    theirs = other.register_device()
    experiment = user.post("/v0/experiments", {"name": "Street", "device_ids": [devices[0]["id"], theirs["id"]]})
    assert experiment.status_code == 201, experiment.text

    rollout = roll_out(user, 100, experiment_id=experiment.json["id"])

    assert (rollout["total"], told(user, devices)) == (1, [devices[0]])
    assert other.get(f"/v0/devices/{theirs['id']}/config").json["desired"] is None


def test_another_users_devices_are_an_admins_to_tell(
    user: Caller, new_user: Callable[..., Caller], admin: Caller, devices: list[dict[str, Any]]
) -> None:
    asked = {"config": FAST, "percent": 100, "user_id": user.user["id"]}

    assert new_user().post("/v0/config_rollouts", asked).status_code == 403
    assert told(user, devices) == []
    assert admin.post("/v0/config_rollouts", asked).status_code == 201
    assert told(user, devices) == devices


@pytest.mark.usefixtures("ingestor")
def test_a_roll_out_that_a_device_refuses_over_mqtt_pauses_and_is_taken_back(
    user: Caller,
    devices: list[dict[str, Any]],
    broker: RunningBroker,
    conn: DictConnection,
    watched: Callable[[], None],
) -> None:
    rollout = roll_out(user, 40)
    applies, refuses, *_ = told(user, devices)
    publish(broker, applies["device_token"], "config/reported", b'{"version":2,"applied":true}')
    publish(broker, refuses["device_token"], "config/reported", b'{"version":2,"error":"no such interval"}')
    wait_for(lambda: (show(user, rollout)["applied"], show(user, rollout)["refused"]) == (1, 1))

    watched()

    paused = show(user, rollout)
    assert (paused["state"], paused["in_trouble"]) == ("paused", [])
    assert paused["reason"] == f"1 of 4 devices that were told refuse it or report new errors: {refuses['id']}"
    assert told(user, devices) == [applies], "those that slept would get it when they wake"
    assert len(told(user, devices, seconds=300)) == 9
    assert user.patch(f"/v0/config_rollouts/{rollout['id']}", {"percent": 80}).status_code == 422


def test_devices_that_report_an_error_they_did_not_have_pause_it(
    user: Caller, devices: list[dict[str, Any]], conn: DictConnection, watched: Callable[[], None]
) -> None:
    old, new = devices[:2]
    fail(conn, old, "E1", ago="2 hours")
    rollout = roll_out(user, 100)
    say(conn, devices)
    let_an_hour_pass(conn, rollout)
    fail(conn, old, "E1", ago="1 minute")

    watched()
    as_ever = show(user, rollout)
    fail(conn, new, "E2", ago="1 minute")
    watched()

    assert (as_ever["state"], as_ever["in_trouble"]) == ("running", [])
    assert (show(user, rollout)["state"], show(user, rollout)["in_trouble"]) == ("paused", [new["id"]])
    assert len(told(user, devices)) == 10, "what does it goes on"


@pytest.mark.parametrize(
    ("before", "code", "component", "is_new"),
    [
        ("2 hours", "E1", "t", False),
        ("25 hours", "E1", "t", True),
        ("2 hours", "E2", "t", True),
        ("2 hours", "E1", "h", True),
        ("2 hours", "E1", None, True),
    ],
)
def test_an_error_is_new_that_the_component_had_not_reported_the_day_before(
    user: Caller, conn: DictConnection, before: str, code: str, component: str | None, is_new: bool
) -> None:
    device = user.register_device()
    fail(conn, device, "E1", before, "t")
    rollout = roll_out(user, 100)
    let_an_hour_pass(conn, rollout)

    fail(conn, device, code, "1 minute", component)

    assert show(user, rollout)["in_trouble"] == ([device["id"]] if is_new else [])


def test_who_goes_on_in_spite_of_an_error_is_not_stopped_by_it_again(
    user: Caller, conn: DictConnection, watched: Callable[[], None]
) -> None:
    device = user.register_device()
    rollout = roll_out(user, 100)
    say(conn, [device])
    let_an_hour_pass(conn, rollout)
    fail(conn, device, "E1", ago="1 minute")
    watched()
    paused = show(user, rollout)["state"]

    change(user, rollout, state="running")
    watched()

    assert (paused, show(user, rollout)["state"]) == ("paused", "running")


def test_which_devices_are_told_first_is_drawn_by_lot(user: Caller, devices: list[dict[str, Any]]) -> None:
    drawn = set()
    for seconds in range(20, 25):
        roll_out(user, 50, config={"publish_interval": seconds})
        drawn.add(str(told(user, devices, seconds)))

    assert len(drawn) > 1, "the same half five times would be one chance in four thousand million"


def test_roll_outs_are_listed_for_who_made_them_the_newest_first_and_an_admin_sees_all(
    user: Caller, new_user: Callable[..., Caller], admin: Caller
) -> None:
    other = new_user()
    user.register_device()
    other.register_device()
    ours = [roll_out(user, percent)["id"] for percent in (10, 20, 30)]
    theirs = roll_out(other, 10)["id"]

    def listed(caller: Caller, query: str = "") -> list[int]:
        return [rollout["id"] for rollout in caller.get(f"/v0/config_rollouts{query}").json]

    assert listed(user) == ours[::-1]
    assert listed(user, "?page=2&per_page=2") == ours[:1]
    assert user.get("/v0/config_rollouts").headers["Total"] == "3"
    assert listed(other) == [theirs]
    assert listed(admin, "?per_page=4") == [theirs, *ours[::-1]]


def test_a_few_that_refuse_among_many_do_not_stop_it(
    user: Caller, devices: list[dict[str, Any]], conn: DictConnection, watched: Callable[[], None]
) -> None:
    more = [user.register_device(name=f"More {number}") for number in range(10)]
    rollout = roll_out(user, 100)
    say(conn, [more[0]], error="no")

    watched()

    assert (show(user, rollout)["state"], show(user, rollout)["refused"]) == ("running", 1)


def test_who_goes_on_after_a_pause_tells_again_and_is_judged_anew(
    user: Caller, devices: list[dict[str, Any]], conn: DictConnection, watched: Callable[[], None]
) -> None:
    rollout = roll_out(user, 30)
    say(conn, told(user, devices), error="no")
    watched()
    assert show(user, rollout)["state"] == "paused"

    change(user, rollout, state="running", percent=40)
    watched()

    assert (show(user, rollout)["state"], show(user, rollout)["reason"]) == ("running", None)
    assert (show(user, rollout)["told"], len(told(user, devices))) == (4, 4)


def test_a_pause_leaves_what_was_told_since_alone(user: Caller, devices: list[dict[str, Any]]) -> None:
    rollout = roll_out(user, 100)
    user.put(f"/v0/devices/{devices[0]['id']}/config", {"publish_interval": 77})

    paused = change(user, rollout, state="paused")

    assert paused["state"] == "paused"
    assert told(user, devices, seconds=77) == [devices[0]]
    assert len(told(user, devices, seconds=300)) == 9


def test_a_device_that_has_changed_hands_is_told_nothing_more(
    user: Caller, new_user: Callable[..., Caller], devices: list[dict[str, Any]], conn: DictConnection
) -> None:
    rollout = roll_out(user, 10)
    (first,) = told(user, devices)
    gone = next(device for device in devices if device != first)
    heir = new_user()
    conn.execute("UPDATE devices SET owner_id = %s WHERE id = %s", [heir.user["id"], gone["id"]])

    change(user, rollout, percent=100)

    assert heir.get(f"/v0/devices/{gone['id']}/config").json["desired"]["publish_interval"] == 300
    assert len(told(user, [device for device in devices if device != gone])) == 9


def hand_over(giver: Caller, heir: Caller, device: dict[str, Any]) -> None:
    offer = giver.post(f"/v0/devices/{device['id']}/transfer", {}).json
    assert heir.post("/v0/devices/transfer", {"transfer_token": offer["transfer_token"]}).status_code == 200


def test_a_device_that_was_told_and_then_changed_hands_is_no_part_of_it_any_more(
    user: Caller, new_user: Callable[..., Caller], devices: list[dict[str, Any]]
) -> None:
    rollout, heir = roll_out(user, 100), new_user()
    heir_config = f"/v0/devices/{devices[0]['id']}/config"
    hand_over(user, heir, devices[0])
    before = heir.get(heir_config).json["desired"]

    change(user, rollout, state="paused")

    assert heir.get(heir_config).json["desired"] == before
    assert show(user, rollout)["total"] == 9


def test_all_others_are_told_where_one_has_changed_hands(
    user: Caller, new_user: Callable[..., Caller], devices: list[dict[str, Any]]
) -> None:
    rollout = roll_out(user, 10)
    (first,) = told(user, devices)
    hand_over(user, new_user(), first)

    change(user, rollout, percent=100)

    assert len(told(user, [device for device in devices if device != first])) == 9


def test_a_roll_out_takes_the_same_few_queries_whatever_its_size(
    user: Caller, new_user: Callable[..., Caller], devices: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lonely = new_user()
    lonely.register_device()
    executed: list[Any] = []
    original = psycopg.Cursor.execute

    def counting(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        executed.append(query)
        return original(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    roll_out(lonely, 100)
    of_one = len(executed)
    roll_out(user, 100)

    assert len(executed) == 2 * of_one
