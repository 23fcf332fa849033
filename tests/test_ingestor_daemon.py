"""The ingestor as a process: receipts, several at once, names that are given up, what it remembers and forgets."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from mqtt_device import MqttDevice, known
from waiting import wait_for

from ingestor.subscriber import Subscriber
from ingestor.topics import Kind, parse_topic
from scripts import services
from scripts.supervisor import Child, Service
from sql import DictConnection, queries

RAW = b"{t:2026-01-15T08:30:00Z,55:21.4,56:48}"


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


def stored(conn: DictConnection, device: dict[str, Any]) -> int:
    row = conn.execute("SELECT count(*) AS n FROM datapoints WHERE device_id = %s", [device["id"]]).fetchone()
    assert row is not None
    return int(row["n"])


@pytest.fixture
def listener(broker: RunningBroker) -> Iterator[MqttDevice]:
    """A client that may read every device's receipts."""
    url = urlsplit(broker.platform_url)
    with MqttDevice(broker.platform_url, url.username, url.password) as client:
        yield client


def readings(*sensors: tuple[Any, Any], **members: Any) -> bytes:
    items = [{"id": sensor, "value": value} for sensor, value in sensors]
    return json.dumps({"data": [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": items}], **members}).encode()


@pytest.mark.usefixtures("ingestor")
def test_a_device_that_asks_is_told_what_became_of_its_message(
    device: dict[str, Any], broker: RunningBroker, listener: MqttDevice
) -> None:
    token = device["device_token"]
    listener.subscribe(f"device/sck/{token}/receipts")
    publish(broker, token, "readings", readings((53, 40)))  # asks for nothing
    publish(broker, token, "readings", readings((55, 21.4), (56, 48), id="first"))
    receipts = [listener.received.get(timeout=10)]
    publish(broker, token, "readings", readings((55, 21.4), (9999, 1), ("x", "nan"), id=2))

    receipts.append(listener.received.get(timeout=10))

    assert [topic for topic, _ in receipts] == [f"device/sck/{token}/receipts"] * 2
    assert json.loads(receipts[0][1]) == {"id": "first", "stored": 2, "duplicate": 0, "quarantined": []}
    second = json.loads(receipts[1][1])
    assert (second["id"], second["stored"], second["duplicate"]) == (2, 0, 1)
    assert sorted((item["index"], item["reason"]) for item in second["quarantined"]) == [
        (0, "not_a_number"),
        (0, "unknown_sensor"),
    ]


@pytest.mark.usefixtures("ingestor")
def test_a_message_that_cannot_be_read_beyond_its_id_gets_a_receipt_too(
    device: dict[str, Any], broker: RunningBroker, listener: MqttDevice
) -> None:
    listener.subscribe(f"device/sck/{device['device_token']}/receipts")
    publish(broker, device["device_token"], "readings", b'{"id": 7, "data": "none"}')

    receipt = json.loads(listener.received.get(timeout=10)[1])

    assert (receipt["id"], [item["reason"] for item in receipt["quarantined"]]) == (7, ["unreadable"])


def test_receipts_of_messages_that_are_written_together_are_not_mixed_up(
    device: dict[str, Any], broker: RunningBroker, listener: MqttDevice, ingestor: RunningIngestor, conn: DictConnection
) -> None:
    token = device["device_token"]
    listener.subscribe(f"device/sck/{token}/receipts")
    publish(broker, token, "readings", readings((56, 48)))
    wait_for(lambda: stored(conn, device) == 1)
    ingestor.stop()
    publish(broker, token, "readings", readings((56, 48), id="known"))
    publish(broker, token, "readings", readings((55, 21.4), id="new"))
    ingestor.start()

    told = [json.loads(listener.received.get(timeout=20)[1]) for _ in range(2)]

    assert [(each["id"], each["stored"], each["duplicate"]) for each in told] == [("known", 0, 1), ("new", 1, 0)]


@pytest.mark.parametrize("receipt_id", [b"1" + b"0" * 30, b'"\\ud800"'], ids=["more than 64 bits", "half a character"])
@pytest.mark.usefixtures("ingestor")
def test_an_id_that_few_can_write_comes_back_and_is_in_nobodys_way(
    device: dict[str, Any], broker: RunningBroker, listener: MqttDevice, conn: DictConnection, receipt_id: bytes
) -> None:
    listener.subscribe(f"device/sck/{device['device_token']}/receipts")
    publish(broker, device["device_token"], "readings", readings((55, 21.4))[:-1] + b', "id": ' + receipt_id + b"}")

    receipt = json.loads(listener.received.get(timeout=10)[1])
    publish(broker, device["device_token"], "readings", readings((56, 48)))

    assert (receipt["id"], receipt["stored"]) == (json.loads(receipt_id), 1)
    wait_for(lambda: stored(conn, device) == 2)


@contextmanager
def picky(conn: DictConnection) -> Iterator[None]:
    """A database that refuses the value 666."""
    conn.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END; $$;"
        "CREATE TRIGGER picky BEFORE INSERT ON datapoints"
        " FOR EACH ROW WHEN (NEW.raw = 666) EXECUTE FUNCTION refuse()"
    )
    try:
        yield
    finally:
        conn.execute("DROP TRIGGER picky ON datapoints; DROP FUNCTION refuse")


def test_what_the_database_refuses_is_in_its_devices_quarantine_and_its_device_is_told(
    user: Caller,
    device: dict[str, Any],
    broker: RunningBroker,
    listener: MqttDevice,
    conn: DictConnection,
    ingestor: RunningIngestor,
) -> None:
    listener.subscribe(f"device/sck/{device['device_token']}/receipts")
    with picky(conn):
        publish(broker, device["device_token"], "readings", readings((55, 666), id=7))
        receipt = json.loads(listener.received.get(timeout=20)[1])

    (item,) = user.get(f"/v0/quarantine?device_id={device['id']}").json
    assert item["reason"] == "refused_by_database"
    assert (receipt["id"], receipt["stored"]) == (7, 0)
    assert [(each["index"], each["reason"]) for each in receipt["quarantined"]] == [(0, "refused_by_database")]
    ingestor.stop()
    written = [json.loads(line) for line in ingestor.last_lines if '"event":"written"' in line]
    assert sum(each["messages"] for each in written) == sum(each["quarantined"] for each in written) == 1


def test_workers_share_what_comes_and_take_over_from_one_that_worked_alone(
    device: dict[str, Any], broker: RunningBroker, database_url: str, conn: DictConnection
) -> None:
    name = f"alone-{os.getpid()}"
    alone = RunningIngestor(database_url, broker.platform_url, MQTT_CLIENT_ID=name)
    alone.start()
    alone.wait_until_ready()
    alone.kill()
    publish(broker, device["device_token"], "readings/raw", RAW)  # the broker keeps it for that name

    command = [sys.executable, "-m", "ingestor", "--workers", "3"]
    env = {"DATABASE_URL": database_url, "MQTT_URL": broker.platform_url, "MQTT_CLIENT_ID": name}
    workers = Child(Service("ingestor", command, env, says='"event":"subscribed"'))
    workers.start()
    try:
        workers.wait_until_ready()
        wait_for(lambda: receivers(conn, name) == [f"{name}-{number}" for number in (1, 2, 3)])
        later = [RAW.replace(b"08:30", b"09:%02d" % minute) for minute in range(20)]
        publish(broker, device["device_token"], "readings/raw", *later)
        wait_for(lambda: stored(conn, device) == 42)
        wait_for(lambda: sum('"event":"stopped"' in line for line in workers.last_lines) == 1)  # the one before
    finally:
        workers.stop()
    assert workers.exit_code == 0
    for number in (1, 2, 3):
        retire(database_url, broker, f"{name}-{number}")


def receivers(conn: DictConnection, name: str) -> list[str]:
    rows = conn.execute("SELECT name FROM receivers WHERE name LIKE %s ORDER BY name", [f"{name}-%"])
    return [row["name"] for row in rows]


def retire(database_url: str, broker: RunningBroker, name: str) -> None:
    env = {"DATABASE_URL": database_url, "MQTT_URL": broker.platform_url}
    child = Child(Service("retire", [sys.executable, "-m", "ingestor", "--retire", name], env))
    child.start()
    wait_for(lambda: child.exit_code is not None)
    assert child.exit_code == 0, child.last_words()


def test_an_ingestor_that_is_retired_writes_what_was_kept_for_it_and_gets_nothing_more(
    device: dict[str, Any], broker: RunningBroker, database_url: str, conn: DictConnection
) -> None:
    name = f"old-{os.getpid()}"
    old = RunningIngestor(database_url, broker.platform_url, MQTT_CLIENT_ID=name)
    old.start()
    old.wait_until_ready()
    wait_for(lambda: conn.execute("SELECT 1 FROM receivers WHERE name = %s", [name]).fetchone())
    old.stop()
    publish(broker, device["device_token"], "readings/raw", RAW)

    assert queries.receiving_since(conn, now=datetime.now(UTC) + timedelta(minutes=5)) is None, "it is missed"
    retire(database_url, broker, name)

    assert stored(conn, device) == 2
    assert conn.execute("SELECT 1 FROM receivers WHERE name = %s", [name]).fetchone() is None
    publish(broker, device["device_token"], "readings/raw", RAW.replace(b"08:30", b"08:31"))
    retire(database_url, broker, name)  # a new session of that name: the broker kept nothing
    assert stored(conn, device) == 2


@pytest.mark.usefixtures("ingestor")
def test_a_revoked_token_is_forgotten_at_once(
    device: dict[str, Any], broker: RunningBroker, conn: DictConnection
) -> None:
    publish(broker, device["device_token"], "readings/raw", RAW)
    wait_for(lambda: stored(conn, device) == 2)
    conn.execute("UPDATE device_tokens SET revoked_at = now(), sealed = NULL WHERE device_id = %s", [device["id"]])

    publish(broker, device["device_token"], "readings/raw", RAW.replace(b"08:30", b"08:31"))

    kept = "SELECT FROM quarantine WHERE reason = 'unknown_token' AND convert_from(payload, 'UTF8') LIKE '%08:31%'"
    wait_for(lambda: conn.execute(kept).fetchall())
    assert stored(conn, device) == 2


def test_a_broker_that_cannot_be_reached_is_named_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    subscriber = Subscriber("mqtt://127.0.0.1:1", "nobody", 10)
    subscriber.start()
    wait_for(lambda: caplog.records)
    subscriber.stop()

    (record, *_) = caplog.records
    assert record.message == "broker cannot be reached"
    assert record.__dict__["reason"].startswith("127.0.0.1:1: ")


@pytest.mark.usefixtures("keeper")
def test_who_may_not_subscribe_is_not_ready(device: dict[str, Any], broker: RunningBroker, database_url: str) -> None:
    token, port = known(broker, device["device_token"]), str(services.free_port())
    url = broker.device_url.replace("://", f"://{token}:{token}@")
    ingestor = RunningIngestor(database_url, url, MQTT_CLIENT_ID=token, METRICS_PORT=port)
    ingestor.start()
    try:
        wait_for(lambda: any('"event":"broker refused subscriptions"' in line for line in list(ingestor.last_lines)))
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10)
        with answer.value:
            assert json.load(answer.value)["broker"] == "away, or refuses the subscription"
    finally:
        ingestor.stop()


@pytest.mark.parametrize("prefix", ["bridge/", "site/barcelona/", ""])
def test_a_token_is_found_behind_a_bridges_prefix(prefix: str) -> None:
    topic = parse_topic(f"{prefix}device/sck/a1b2c3/readings/raw")

    assert topic is not None
    assert (topic.kind, topic.token, topic.masked) == (Kind.RAW, "a1b2c3", f"{prefix}device/sck/+/readings/raw")
    assert topic.receipts == f"{prefix}device/sck/a1b2c3/receipts"


@pytest.mark.parametrize("topic", ["device/sck/device/sck/a/readings", "xdevice/sck/a/readings", "/device/sck/a/info"])
def test_no_prefix_lets_a_device_speak_for_another(topic: str) -> None:
    assert parse_topic(topic) is None
