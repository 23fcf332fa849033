"""Forwarding over MQTT through the real broker: to who has the token, and no secret in it; and Redis' events."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from caller import Caller, set_role
from conftest import RunningBroker, RunningForwarder, RunningIngestor, RunningKeeper
from kits import publish
from mqtt_device import MqttDevice, gets_in, known
from redis import Redis
from waiting import wait_for

from app.config import Config
from sql import DictConnection


@pytest.fixture(scope="module")
def forwarder(config: Config, broker: RunningBroker, keeper: RunningKeeper) -> Iterator[RunningForwarder]:
    forwarder = RunningForwarder(config, broker)
    forwarder.start()
    try:
        forwarder.wait_until_ready()
        yield forwarder
    finally:
        forwarder.stop()


@pytest.fixture
def researcher(new_user: Callable[..., Caller], conn: DictConnection) -> Caller:
    caller = new_user()
    set_role(conn, caller.user["id"], "researcher")
    return caller


def forwarded(researcher: Caller, **fields: Any) -> dict[str, Any]:
    device = researcher.register_device(**fields)
    assert researcher.patch(f"/v0/devices/{device['id']}", {"enable_forwarding": True}).status_code == 200
    return device


def token_of(researcher: Caller, broker: RunningBroker) -> str:
    made = researcher.post("/v0/me/forwarding")
    assert made.status_code == 201, made.text
    return known(broker, made.json["forwarding_token"])


def send(caller: Caller, device: dict[str, Any], minute: int, value: float = 21.4) -> None:
    reading = {"recorded_at": f"2026-01-15T08:{minute:02}:00Z", "sensors": [{"id": 55, "value": value}]}
    assert caller.post(f"/v0/devices/{device['id']}/readings", {"data": [reading]}).status_code == 200


def test_readings_are_forwarded_as_the_contract_has_it_and_no_secret_with_them(
    researcher: Caller, broker: RunningBroker, forwarder: RunningForwarder
) -> None:
    fields = {"latitude": 41.396812, "longitude": 2.194512, "precise_location": False, "is_private": True}
    device = forwarded(researcher, mac_address="00:06:66:2a:02:90", **fields)
    publish(broker, device["device_token"], "info", b'{"hw_ver":"2.1","mac":"00:06:66:2A:02:8F","id":"SECRET-SERIAL"}')
    token = token_of(researcher, broker)
    with MqttDevice(broker.device_url, token) as listener:
        assert listener.subscribe(f"/forward/{token}/device/+/readings")
        send(researcher, device, 30)
        topic, payload = listener.received.get(timeout=10)

    shown = json.loads(payload)
    assert topic == f"/forward/{token}/device/{device['id']}/readings"
    assert [each["readings"] for each in shown["components"]] == [
        [{"timestamp": "2026-01-15T08:30:00Z", "value": 21.4}]
    ]
    assert shown["components"][0]["sensor"]["id"] == 55
    assert (shown["id"], shown["uuid"], shown["name"]) == (device["id"], device["uuid"], device["name"])
    assert shown["data_policy"]["is_private"] is shown["data_policy"]["enable_forwarding"] is True
    text = payload.decode().lower()
    secrets = (device["device_token"], token, researcher.user["email"], "00:06:66:2a:02:90", "secret-serial")
    assert [secret for secret in secrets if secret.lower() in text] == []
    assert not ("41.39681" in text and "2.19451" in text)  # one of the two may come about by chance


def test_nobody_hears_what_is_forwarded_to_somebody_else(
    researcher: Caller,
    new_user: Callable[..., Caller],
    conn: DictConnection,
    broker: RunningBroker,
    forwarder: RunningForwarder,
) -> None:
    other = new_user()
    set_role(conn, other.user["id"], "researcher")
    device, theirs = forwarded(researcher, is_private=True), forwarded(other)
    token, others = token_of(researcher, broker), token_of(other, broker)
    devices = known(broker, theirs["device_token"])
    topics = ("#", f"/forward/{token}/#", "/forward/#", "/forward/+/device/+/readings", "+/+/+/+/+/+")
    with (
        MqttDevice(broker.device_url, token) as own,
        MqttDevice(broker.device_url, others) as listener,
        MqttDevice(broker.device_url, devices) as as_device,
    ):
        own.subscribe(f"/forward/{token}/#")
        for topic in topics:
            listener.subscribe(topic)
            as_device.subscribe(topic)
        send(researcher, device, 30)
        send(other, theirs, 31)
        assert own.received.get(timeout=10)[0] == f"/forward/{token}/device/{device['id']}/readings"
        heard = {listener.received.get(timeout=10)[0]}
        heard |= {topic for topic, _ in listener.everything_received()}

        assert heard == {f"/forward/{others}/device/{theirs['id']}/readings"}
        assert as_device.everything_received() == []
        assert not listener.publish(f"/forward/{token}/device/{device['id']}/readings")
        assert not listener.publish(f"/forward/{others}/device/{device['id']}/readings")


def test_what_is_not_to_be_forwarded_is_not(
    researcher: Caller, user: Caller, conn: DictConnection, broker: RunningBroker, forwarder: RunningForwarder
) -> None:
    silent, citizens, device = researcher.register_device(), user.register_device(), forwarded(researcher)
    conn.execute("UPDATE devices SET enable_forwarding = true WHERE id = %s", [citizens["id"]])
    token = token_of(researcher, broker)
    with MqttDevice(broker.device_url, token) as listener:
        listener.subscribe(f"/forward/{token}/#")
        for caller, each in ((researcher, silent), (user, citizens), (researcher, device)):
            send(caller, each, 30)
        assert listener.received.get(timeout=10)[0].endswith(f"/device/{device['id']}/readings")
        assert listener.everything_received() == []


def test_what_came_while_nobody_forwarded_is_forwarded_later(
    researcher: Caller, broker: RunningBroker, forwarder: RunningForwarder
) -> None:
    device = forwarded(researcher)
    token = token_of(researcher, broker)
    with MqttDevice(broker.device_url, token) as listener:
        listener.subscribe(f"/forward/{token}/#")
        send(researcher, device, 29)
        listener.received.get(timeout=10)
        forwarder.kill()
        for minute in (30, 31):
            send(researcher, device, minute)
        forwarder.start()
        forwarder.wait_until_ready()

        heard: list[str] = []
        while "2026-01-15T08:31:00Z" not in heard:
            shown = json.loads(listener.received.get(timeout=10)[1])
            heard += [reading["timestamp"] for each in shown["components"] for reading in each["readings"]]
    assert heard[-2:] == ["2026-01-15T08:30:00Z", "2026-01-15T08:31:00Z"]


def test_what_came_while_the_broker_was_away_is_forwarded_when_it_is_back(
    config: Config, conn: DictConnection, researcher: Caller, broker: RunningBroker, forwarder: RunningForwarder
) -> None:
    """Also where nothing has ever been forwarded before."""
    forwarder.stop()
    conn.execute("DELETE FROM followers")
    forwarder.start()
    forwarder.wait_until_ready()
    device = forwarded(researcher)
    token_of(researcher, broker)
    with Redis.from_url(config.redis_url) as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("data-received")  # says that a device's readings have been forwarded
        wait_for(lambda: channel.get_message() is None)
        broker.stop()
        send(researcher, device, 30)
        wait_for(lambda: any('"event":"away"' in line for line in forwarder.last_lines))
        assert channel.get_message() is None

        broker.start()

        wait_for(lambda: (said := channel.get_message()) and json.loads(said["data"]) == {"device_id": device["id"]})


def test_a_token_that_was_replaced_or_ended_hears_nothing_more(
    researcher: Caller, broker: RunningBroker, forwarder: RunningForwarder, anybody: Caller
) -> None:
    first = token_of(researcher, broker)
    username = researcher.get("/v0/me/forwarding").json["forwarding_username"]

    def allowed(token: str) -> str:
        query = {"topic": f"/forward/{token}/device/+/readings", "username": username}
        return str(anybody.get("/v0/forward", query_string=query).json["result"])

    with MqttDevice(broker.device_url, first) as listener:
        assert allowed(first) == "allow"
        second = token_of(researcher, broker)
        assert listener.cut_off.wait(10)
    assert (gets_in(broker, first), allowed(first), allowed(second)) == (False, "deny", "deny")
    username = researcher.get("/v0/me/forwarding").json["forwarding_username"]
    assert allowed(second) == "allow"

    assert researcher.delete("/v0/me/forwarding").status_code == 200
    wait_for(lambda: not gets_in(broker, second))
    assert allowed(second) == "deny"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "forward/",
        "/forward/+/#",
        "/forward/#",
        "device/sck/x/readings",
        "x/forward/{token}/#",
        "/forward/{token}x/#",
    ],
)
def test_a_broker_that_asks_is_told_no_for_anything_else(researcher: Caller, anybody: Caller, topic: str) -> None:
    made = researcher.post("/v0/me/forwarding").json
    query = {"topic": topic.format(token=made["forwarding_token"]), "username": made["forwarding_username"]}

    answer = anybody.get("/v0/forward", query_string=query)

    assert (answer.status_code, answer.json) == (200, {"result": "deny"})


def test_a_token_for_forwarding_is_no_other_users_and_needs_its_user_name(researcher: Caller, anybody: Caller) -> None:
    made = researcher.post("/v0/me/forwarding").json
    topic = f"forward/{made['forwarding_token']}/#"

    def ask(**query: str) -> object:
        return anybody.get("/v0/forward", query_string=query).json["result"]

    assert ask(topic=topic, username=made["forwarding_username"]) == "allow"
    assert ask(topic=topic, username=researcher.user["username"]) == ask(topic=topic) == ask() == "deny"


def test_other_programs_hear_on_redis_of_data_and_of_devices_that_are_being_set_up(
    config: Config,
    anybody: Caller,
    user: Caller,
    broker: RunningBroker,
    ingestor: RunningIngestor,
    forwarder: RunningForwarder,
) -> None:
    device = user.register_device()
    begun = anybody.post("/v0/onboarding/device", {}).json
    with Redis.from_url(config.redis_url) as redis, redis.pubsub(ignore_subscribe_messages=True) as channels:
        channels.subscribe("data-received", "token-received")
        wait_for(lambda: channels.get_message() is None)
        publish(broker, begun["device_token"], "hello", b"Hello")
        publish(broker, device["device_token"], "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")

        heard: dict[bytes, Any] = {}

        def hear() -> bool:
            if message := channels.get_message():
                heard[message["channel"]] = json.loads(message["data"])
            return len(heard) == 2

        wait_for(hear, 10)

    assert heard == {
        b"data-received": {"device_id": device["id"]},
        b"token-received": {"onboarding_session": begun["onboarding_session"]},
    }


def test_destinations_are_an_admins_to_make_and_a_device_names_one(
    admin: Caller, researcher: Caller, anybody: Caller
) -> None:
    name = f"dashboard of {admin.user['username']}"
    made = admin.post("/v0/forwarding_destinations", {"name": name}).json
    device = forwarded(researcher)
    path = f"/v0/devices/{device['id']}"
    named = researcher.patch(path, {"forwarding_destination_id": made["id"]}).json

    assert name in [each["name"] for each in anybody.get("/v0/forwarding_destinations").json]
    assert named["data_policy"]["forwarding_destination"] == name
    assert admin.post("/v0/forwarding_destinations", {"name": name}).status_code == 422
    assert admin.delete(f"/v0/forwarding_destinations/{made['id']}").status_code == 200
    assert researcher.get(path).json["data_policy"]["forwarding_destination"] is None
