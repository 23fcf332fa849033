"""What devices are told to do: versions, what a kit allows, and their way over a real broker and back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from caller import Caller
from conftest import RunningBroker, RunningKeeper
from kits import publish
from mqtt_device import MqttDevice, gets_in, known
from waiting import wait_for

from app.device_configs import schema_error, settings_errors
from sql import DictConnection

LED = {"type": "object", "properties": {"led": {"enum": ["on", "off"]}}, "additionalProperties": False}


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    """A device of a kit that says how often it reads and what its settings may be."""
    kit = user.post(
        "/v0/kits",
        {
            "name": "Greenhouse",
            "publish_interval": 300,
            "settings": {"led": "on"},
            "settings_schema": LED,
            "components": [{"sensor_id": 55, "interval": 60}, {"sensor_id": 56}],
        },
    )
    assert kit.status_code == 201, kit.text
    return user.register_device(kit_id=kit.json["id"])


def config(user: Caller, device: dict[str, Any]) -> dict[str, Any]:
    answer = user.get(f"/v0/devices/{device['id']}/config")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def put(user: Caller, device: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = user.put(f"/v0/devices/{device['id']}/config", fields)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def refusal(user: Caller, device: dict[str, Any], **fields: Any) -> dict[str, list[str]]:
    answer = user.put(f"/v0/devices/{device['id']}/config", fields)
    assert answer.status_code == 422, answer.text
    reasons: dict[str, list[str]] = answer.json["errors"]
    return reasons


def test_a_configuration_that_no_small_device_could_take_is_refused(user: Caller) -> None:
    device = user.register_device()

    assert "8,192 at most" in refusal(user, device, settings={"text": "x" * 8192})["settings"][0]

    assert config(user, device)["desired"] is None


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize(
    ("most", "more", "field"),
    [
        ({"settings": {"x": nested(15)}}, {"settings": {"x": nested(16)}}, "settings"),
        ({"settings": {"x": 2**53}}, {"settings": {"x": 2**53 + 1}}, "settings"),
        (
            {"settings": {str(n): 0 for n in range(200)}},
            {"settings": {str(n): 0 for n in range(201)}},
            "settings",
        ),
        ({"settings": {"x" * 64: 0}}, {"settings": {"x" * 65: 0}}, f"settings.{'x' * 65}.key"),
        ({}, {"components": {"x" * 65: {}}}, f"components.{'x' * 65}.key"),
        ({}, {"components": {str(n): {} for n in range(201)}}, "components"),
        ({"publish_interval": 366 * 86_400}, {"publish_interval": 366 * 86_400 + 1}, "publish_interval"),
    ],
)
def test_a_configuration_is_as_large_as_it_may_be_and_no_larger(
    user: Caller, most: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    device = user.register_device()

    assert list(refusal(user, device, **more)) == [field]
    put(user, device, **most)


def test_a_new_device_is_told_what_its_kit_says(user: Caller, device: dict[str, Any]) -> None:
    shown = config(user, device)

    assert shown["desired"].pop("time")
    assert shown["desired"] == {
        "version": 1,
        "publish_interval": 300,
        "components": {"t": {"interval": 60, "enabled": True}},
        "settings": {"led": "on"},
    }
    assert shown["reported"] is None


def test_a_device_whose_kit_says_nothing_is_told_nothing(user: Caller) -> None:
    assert config(user, user.register_device()) == {"desired": None, "reported": None, "difference": None}


def test_what_is_left_out_is_as_the_kit_says_and_not_as_it_was(user: Caller, device: dict[str, Any]) -> None:
    put(user, device, publish_interval=60, settings={"led": "off"}, components={"h": {"enabled": False}})

    second = put(user, device, components={"t": {"enabled": False}})["desired"]

    assert (second["version"], second["publish_interval"], second["settings"]) == (3, 300, {"led": "on"})
    assert second["components"] == {"t": {"interval": 60, "enabled": False}}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"publish_interval": 0}, "publish_interval"),
        ({"publish_interval": "often"}, "publish_interval"),
        ({"components": {"co2": {"enabled": False}}}, "components.co2"),
        ({"components": {"t": {"interval": -1}}}, "components.t.interval"),
        ({"settings": {"led": "blue"}}, "settings.led"),
        ({"settings": {"fan": 1}}, "settings"),
        ({"settings": {"led": 1e300}}, "settings"),
    ],
)
def test_what_the_kit_does_not_allow_is_refused_and_changes_nothing(
    user: Caller, device: dict[str, Any], fields: dict[str, Any], field: str
) -> None:
    assert list(refusal(user, device, **fields)) == [field]
    assert config(user, device)["desired"]["version"] == 1


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"publish_intervall": 60}, "publish_intervall"),
        ({"components": {"t": {"intervall": 60}}}, "components.t.intervall"),
    ],
)
def test_a_misspelt_field_is_refused_and_what_the_device_does_stays(
    user: Caller, device: dict[str, Any], asked: dict[str, Any], field: str
) -> None:
    path = f"/v0/devices/{device['id']}/config"
    before = user.put(path, {"publish_interval": 300}).json["desired"]

    answer = user.put(path, asked)

    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert user.get(path).json["desired"] == before


def test_a_refusal_names_the_components_that_there_are(user: Caller, device: dict[str, Any]) -> None:
    assert refusal(user, device, components={"co2": {}}) == {
        "components.co2": ["there is no such component; there are: h, t"]
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"settings_schema": {"type": "nonsense"}}, "settings_schema"),
        ({"settings_schema": {"$ref": "http://127.0.0.1:9/schema"}}, "settings_schema"),
        ({"settings_schema": LED, "settings": {"led": "blue"}}, "settings.led"),
        ({"publish_interval": -5}, "publish_interval"),
    ],
)
def test_a_kit_cannot_say_what_makes_no_sense(user: Caller, fields: dict[str, Any], field: str) -> None:
    answer = user.post("/v0/kits", {"name": "Air", "components": [{"sensor_id": 55}], **fields})

    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])


def test_a_kit_that_changes_its_mind_keeps_what_it_does_not_mention(user: Caller, device: dict[str, Any]) -> None:
    kits = [kit for kit in user.get("/v0/kits?per_page=1000").json if kit["owner_id"] == user.user["id"]]

    changed = user.patch(f"/v0/kits/{kits[0]['id']}", {"publish_interval": None}).json

    assert (changed["publish_interval"], changed["settings"], changed["settings_schema"]) == (None, {"led": "on"}, LED)
    assert config(user, device)["desired"]["publish_interval"] == 300, "it does what it was told"


def test_no_schema_and_no_pattern_of_a_users_making_runs_away() -> None:
    endless = {"allOf": [{"$ref": "#"}]}
    explosive = {"properties": {"name": {"type": "string", "pattern": "^(a+)+$"}}}

    assert schema_error(endless) is None
    assert list(settings_errors(endless, {})) == []
    assert [field for field, _ in settings_errors(explosive, {"name": "a" * 50_000 + "b"})] == ["settings.name"]


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_configuration_is_its_owners_alone(
    user: Caller, new_user: Callable[..., Caller], device: dict[str, Any], method: str
) -> None:
    assert getattr(new_user(), method)(f"/v0/devices/{device['id']}/config").status_code == 403


# over the broker


def told(broker: RunningBroker, token: str) -> list[dict[str, Any]]:
    """What a device gets that wakes, logs in, looks at its configuration and sleeps again."""
    with MqttDevice(broker.device_url, token) as woken:
        assert woken.subscribe(f"device/sck/{token}/config")
        return [json.loads(payload) for _, payload in woken.everything_received()]


def versions(broker: RunningBroker, token: str) -> list[int]:
    return [config["version"] for config in told(broker, token)]


def test_a_device_is_told_while_it_is_connected(
    user: Caller, device: dict[str, Any], broker: RunningBroker, keeper: RunningKeeper
) -> None:
    token = known(broker, device["device_token"])
    wait_for(lambda: versions(broker, token) == [1])
    with MqttDevice(broker.device_url, token) as awake:
        awake.subscribe(f"device/sck/{token}/config")
        awake.everything_received()

        put(user, device, publish_interval=60, settings={"led": "off"})

        topic, payload = awake.received.get(timeout=10)
    assert topic == f"device/sck/{token}/config"
    assert json.loads(payload) == {
        "version": 2,
        "publish_interval": 60,
        "components": {"t": {"interval": 60, "enabled": True}},
        "settings": {"led": "off"},
    }


def test_a_device_that_slept_through_three_changes_gets_the_last_one_once(
    user: Caller, device: dict[str, Any], broker: RunningBroker, keeper: RunningKeeper
) -> None:
    token = known(broker, device["device_token"])
    for seconds in (60, 120, 180):
        version = put(user, device, publish_interval=seconds)["desired"]["version"]
        with MqttDevice(broker.platform_url, *broker.platform_login) as watcher:
            watcher.subscribe(f"device/sck/{token}/config")
            wait_for(lambda version=version: json.loads(watcher.received.get(timeout=10)[1])["version"] == version)

    woken = told(broker, token)

    assert [(config["version"], config["publish_interval"]) for config in woken] == [(4, 180)]


def test_every_token_of_a_device_has_the_configuration_and_a_revoked_one_no_longer(
    user: Caller, device: dict[str, Any], broker: RunningBroker, keeper: RunningKeeper
) -> None:
    old = known(broker, device["device_token"])
    new = user.post(f"/v0/devices/{device['id']}/tokens", {}).json["device_token"]
    known(broker, new)
    put(user, device, publish_interval=60)
    wait_for(lambda: versions(broker, old) == versions(broker, new) == [2])
    (_, listed) = user.get(f"/v0/devices/{device['id']}/tokens").json

    assert user.delete(f"/v0/devices/{device['id']}/tokens/{listed['id']}").status_code == 200

    with MqttDevice(broker.platform_url, *broker.platform_login) as watcher:
        wait_for(lambda: not gets_in(broker, old))
        wait_for(lambda: kept(watcher, old) == [])
        assert [json.loads(payload)["version"] for payload in kept(watcher, new)] == [2]


def kept(watcher: MqttDevice, token: str) -> list[bytes]:
    """What the broker keeps on a configuration's topic."""
    watcher.subscribe(f"device/sck/{token}/config")
    return [payload for topic, payload in watcher.everything_received() if topic == f"device/sck/{token}/config"]


def test_what_the_broker_has_lost_or_got_wrong_is_put_right(
    user: Caller, device: dict[str, Any], broker: RunningBroker, keeper: RunningKeeper
) -> None:
    token = known(broker, device["device_token"])
    other = user.register_device()["device_token"]
    known(broker, other)
    wait_for(lambda: versions(broker, token) == [1])
    keeper.stop()
    with MqttDevice(broker.platform_url, *broker.platform_login) as vandal:
        vandal.publish(f"device/sck/{token}/config", b"", retain=True)
        vandal.publish(f"device/sck/{other}/config", b'{"version":7}', retain=True)
        vandal.publish(f"device/sck/{'x' * 32}/config", b'{"version":7}', retain=True)

        keeper.start()
        keeper.wait_until_ready()

        wait_for(lambda: versions(broker, token) == [1])
        assert kept(vandal, other) == kept(vandal, "x" * 32) == []


def test_a_broker_that_was_restarted_still_has_it(
    user: Caller, device: dict[str, Any], broker: RunningBroker, keeper: RunningKeeper
) -> None:
    token = known(broker, device["device_token"])
    wait_for(lambda: versions(broker, token) == [1])

    broker.stop()
    broker.start()
    broker.wait_until_ready()

    assert versions(broker, token) == [1]


def test_a_device_that_comes_out_of_the_trash_is_told_again(
    user: Caller, device: dict[str, Any], broker: RunningBroker, keeper: RunningKeeper
) -> None:
    token = known(broker, device["device_token"])
    wait_for(lambda: versions(broker, token) == [1])
    assert user.delete(f"/v0/devices/{device['id']}").status_code == 200
    with MqttDevice(broker.platform_url, *broker.platform_login) as watcher:
        wait_for(lambda: kept(watcher, token) == [])

    assert user.post(f"/v0/devices/{device['id']}/restore").status_code == 200

    known(broker, token)
    wait_for(lambda: versions(broker, token) == [1])


# what devices say


@pytest.mark.usefixtures("ingestor")
def test_what_a_device_says_it_does_is_shown_beside_what_it_should(
    user: Caller, device: dict[str, Any], broker: RunningBroker
) -> None:
    token = device["device_token"]
    publish(broker, token, "config/reported", b'{"version":1,"applied":true}')
    wait_for(lambda: config(user, device)["reported"])
    same = config(user, device)
    put(user, device, publish_interval=60, settings={"led": "off"})
    differs = config(user, device)

    assert same["difference"] is None
    assert (same["reported"]["version"], same["reported"]["applied"], same["reported"]["error"]) == (1, True, None)
    assert same["reported"]["publish_interval"] == 300
    assert differs["difference"] == {
        "version": 2,
        "time": differs["desired"]["time"],
        "fields": {
            "publish_interval": {"desired": 60, "reported": 300},
            "settings.led": {"desired": "off", "reported": "on"},
        },
    }


@pytest.mark.usefixtures("ingestor")
def test_a_device_that_cannot_do_it_says_why_and_goes_on_as_before(
    user: Caller, device: dict[str, Any], broker: RunningBroker
) -> None:
    token = device["device_token"]
    put(user, device, publish_interval=1)
    publish(
        broker,
        token,
        "config/reported",
        b'{"version":1,"applied":true}',
        b'{"version":2,"error":"faster than the sensor"}',
    )
    wait_for(lambda: (config(user, device)["reported"] or {}).get("version") == 2)

    shown = config(user, device)

    assert (shown["reported"]["applied"], shown["reported"]["error"]) == (False, "faster than the sensor")
    assert (shown["reported"]["publish_interval"], shown["difference"]["version"]) == (300, 2)


@pytest.mark.usefixtures("ingestor")
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"version":9,"applied":true}', "unknown_version"),
        (b'{"version":1}', "unreadable"),
        (b'{"version":"1","applied":true}', "unreadable"),
        (b"applied", "unreadable"),
    ],
)
def test_a_report_that_says_nothing_we_know_is_kept_with_the_reason(
    user: Caller, device: dict[str, Any], broker: RunningBroker, payload: bytes, reason: str
) -> None:
    publish(broker, device["device_token"], "config/reported", payload)

    wait_for(lambda: user.get(f"/v0/quarantine?device_id={device['id']}").json)
    (item,) = user.get(f"/v0/quarantine?device_id={device['id']}").json
    assert (item["reason"], item["payload"]) == (reason, payload.decode())
    assert config(user, device)["reported"] is None


@pytest.mark.usefixtures("ingestor")
def test_a_device_that_reports_at_every_start_has_done_so_since_the_first(
    user: Caller, device: dict[str, Any], broker: RunningBroker, conn: DictConnection
) -> None:
    def since() -> Any:
        row = conn.execute(
            "SELECT applied_at, reported_at FROM device_configs WHERE device_id = %s AND version = 1", [device["id"]]
        ).fetchone()
        assert row is not None
        return row

    publish(broker, device["device_token"], "config/reported", b'{"version":1,"applied":true}')
    wait_for(lambda: since()["applied_at"])
    first = since()

    publish(broker, device["device_token"], "config/reported", b'{"version":1,"applied":true}')

    wait_for(lambda: since()["reported_at"] > first["reported_at"])
    assert since()["applied_at"] == first["applied_at"]
