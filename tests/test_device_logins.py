"""Who gets in at the broker and what they may do there: a real broker, its keeper, and stock MQTT clients."""

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from caller import Caller, sign_up
from conftest import ALMANAC, RunningBroker, RunningIngestor, RunningKeeper, keeper_env
from flask import Flask
from mqtt_device import MqttDevice, gets_in, known
from waiting import wait_for

from app.broker.dynsec import document
from app.config import Config
from app.sealing import unseal
from ingestor.tokens import hash_token
from scripts.tls import make_certificates
from sql import DictConnection

LOGINS_ARE_RIGHT = "missing 0, surplus 0, settings right"
WITHIN_S = 5  # of a token's end: the promise


@pytest.fixture(scope="module")
def token(app: Flask, broker: RunningBroker, keeper: RunningKeeper) -> str:
    """Of a device that the broker knows; the tests share it, so none may end it."""
    return known(broker, sign_up(app).register_device()["device_token"])


@pytest.fixture(scope="module")
def other(app: Flask, broker: RunningBroker, keeper: RunningKeeper) -> str:
    """The same of another device."""
    return known(broker, sign_up(app).register_device()["device_token"])


def almanac(config: Config, broker: RunningBroker, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **keeper_env(config, broker)}
    return subprocess.run([ALMANAC, "broker", *words], env=env, capture_output=True, text=True, check=False)


def test_a_device_publishes_under_its_own_topics_with_its_token_as_login(token: str, broker: RunningBroker) -> None:
    with MqttDevice(broker.device_url, token) as device:
        for topic in ("readings", "readings/raw", "info", "hello", "errors", "config/reported"):
            assert device.publish(f"device/sck/{token}/{topic}")


@pytest.mark.parametrize(
    "topic",
    [
        "device/sck/{other}/readings",
        "device/sck/{own}/config",
        "device/sck/{own}/receipts",
        "device/sck/{own}/anything/else",
        "device/inventory",
        "$SYS/broker/uptime",
        "$CONTROL/dynamic-security/v1",
    ],
)
def test_a_device_publishes_nowhere_else(token: str, other: str, broker: RunningBroker, topic: str) -> None:
    with MqttDevice(broker.device_url, token) as device:
        assert not device.publish(topic.format(own=token, other=other))


def test_a_retained_message_cannot_be_left_under_topics_of_ones_own_making(token: str, broker: RunningBroker) -> None:
    with MqttDevice(broker.device_url, token) as device:
        assert not any(device.publish(f"device/sck/{token}/readings/{number}", retain=True) for number in range(5))


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
@pytest.mark.parametrize(
    "topic", ["#", "+/#", "device/#", "device/sck/+/readings", "device/sck/{other}/readings", "$SYS/#", "$CONTROL/#"]
)
def test_a_subscription_to_what_is_not_ones_own_is_refused(
    token: str, other: str, broker: RunningBroker, topic: str, protocol: int
) -> None:
    with MqttDevice(broker.device_url, token, protocol=protocol) as device:
        assert not device.subscribe(topic.format(other=other))


def test_a_share_of_everybodys_messages_is_refused(token: str, broker: RunningBroker) -> None:
    with MqttDevice(broker.device_url, token) as device:
        assert not device.subscribe("$share/almanac/device/#")


def test_a_device_reads_its_own_configuration_and_no_others(token: str, other: str, broker: RunningBroker) -> None:
    with MqttDevice(broker.device_url, token) as device, MqttDevice(broker.platform_url, *broker.platform_login) as api:
        for topic in (
            "#",
            "device/#",
            f"device/sck/{other}/config",
            "device/sck/+/config",
            f"device/sck/{token}/config",
        ):
            device.subscribe(topic)
        for whose in (other, token):
            api.publish(f"device/sck/{whose}/config", whose.encode(), retain=True)

        assert set(device.everything_received()) == {(f"device/sck/{token}/config", token.encode())}


def test_a_wrong_password_is_refused(token: str, broker: RunningBroker) -> None:
    with MqttDevice(broker.device_url, token, password="b" * 32) as device:
        assert not device.is_in


def test_nobody_gets_in_without_a_login(broker: RunningBroker) -> None:
    with MqttDevice(broker.device_url, None) as device:
        assert not device.is_in


def test_a_device_cannot_take_the_session_of_another_client(token: str, other: str, broker: RunningBroker) -> None:
    with (
        MqttDevice(broker.device_url, token, client_id=token) as victim,
        MqttDevice(broker.device_url, other, client_id=token) as thief,
    ):
        assert thief.is_in
        assert victim.publish(f"device/sck/{token}/readings")
        assert not victim.cut_off.is_set()


def test_a_revoked_token_is_cut_off_while_connected_and_refused_afterwards(
    user: Caller, broker: RunningBroker, keeper: RunningKeeper
) -> None:
    device = user.register_device()
    token = known(broker, device["device_token"])
    (listed,) = user.get(f"/v0/devices/{device['id']}/tokens").json
    with MqttDevice(broker.device_url, token) as connected:
        assert connected.is_in

        assert user.delete(f"/v0/devices/{device['id']}/tokens/{listed['id']}").status_code == 200

        assert connected.cut_off.wait(WITHIN_S)
    assert not gets_in(broker, token)


def test_a_token_that_expires_is_cut_off_while_connected_and_refused_afterwards(
    user: Caller, broker: RunningBroker, keeper: RunningKeeper, conn: DictConnection
) -> None:
    device = user.register_device()
    path = f"/v0/devices/{device['id']}/tokens"
    made = user.post(path, {"expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}).json
    with MqttDevice(broker.device_url, known(broker, made["device_token"])) as connected:
        conn.execute("UPDATE device_tokens SET expires_at = now() WHERE id = %s", [made["id"]])  # an hour later

        assert connected.cut_off.wait(WITHIN_S)
    assert not gets_in(broker, made["device_token"])
    assert gets_in(broker, device["device_token"]), "the device's other token went with it"


def test_the_devices_of_an_archived_account_are_cut_off(user: Caller, broker: RunningBroker, keeper: Any) -> None:
    token = known(broker, user.register_device()["device_token"])
    with MqttDevice(broker.device_url, token) as connected:
        assert user.delete("/v0/me").status_code == 200

        assert connected.cut_off.wait(WITHIN_S)


def test_a_token_too_short_to_log_in_with_gets_in_nowhere_but_at_the_kits_door(
    user: Caller, broker: RunningBroker, keeper: RunningKeeper
) -> None:
    short = user.register_device(device_token="abc123")["device_token"]
    known(broker, user.register_device()["device_token"])

    assert not gets_in(broker, short)
    with MqttDevice(broker.kit_url, None, client_id=short) as kit:
        assert kit.publish(f"device/sck/{short}/readings/raw")


@pytest.mark.parametrize("topic", ["#", "device/#", "device/sck/{own}/config", "$share/almanac/device/#"])
def test_a_kit_without_credentials_reads_nothing(broker: RunningBroker, topic: str) -> None:
    own = "kit001"
    with (
        MqttDevice(broker.kit_url, None, client_id=own) as kit,
        MqttDevice(broker.kit_url, None, "", "kit002") as other,
    ):
        kit.subscribe(topic.format(own=own))
        other.publish("device/sck/kit002/readings")
        with MqttDevice(broker.platform_url, *broker.platform_login) as api:
            api.publish(f"device/sck/{own}/config")

        assert not kit.publish("device/sck/kit002/readings")
        assert kit.received.empty()


def test_what_happened_while_the_keeper_was_away_is_made_up_for(
    user: Caller, broker: RunningBroker, keeper: RunningKeeper, conn: DictConnection
) -> None:
    device = user.register_device()
    old = known(broker, device["device_token"])
    keeper.stop()
    try:
        new = user.post(f"/v0/devices/{device['id']}/tokens", {}).json["device_token"]
        conn.execute("UPDATE device_tokens SET revoked_at = now(), sealed = NULL WHERE hash = %s", [hash_token(old)])
    finally:
        keeper.start()
        keeper.wait_until_ready()

    known(broker, new)
    assert not gets_in(broker, old)


def test_a_broker_that_was_given_an_old_file_is_put_right(
    config: Config, tmp_path: Path, token: str, keeper: RunningKeeper
) -> None:
    keeper.stop()  # it keeps another broker, and a database has one
    broker = RunningBroker(tmp_path / "broker")
    stranger = "s" * 32
    password = broker.admin_url.partition("://:")[2].partition("@")[0]
    old = document(password, [stranger])
    old["defaultACLAccess"]["publishClientReceive"] = True  # the plugin's own default, which leaks
    old["roles"] = [role for role in old["roles"] if role["rolename"] != "device"]
    broker.logins_file.write_text(json.dumps(old))
    broker.start()
    try:
        broker.wait_until_ready()
        assert gets_in(broker, stranger)
        assert almanac(config, broker, "check").returncode == 1

        rebuilt = almanac(config, broker, "rebuild")

        assert rebuilt.returncode == 0, rebuilt.stderr
        assert almanac(config, broker, "check").stdout == f"{LOGINS_ARE_RIGHT}, configurations right\n"
        assert not gets_in(broker, stranger)
        assert gets_in(broker, token)
    finally:
        broker.stop()
        keeper.start()
        keeper.wait_until_ready()


def test_a_broker_starts_with_a_file_that_was_made_from_the_database(
    config: Config, tmp_path: Path, token: str, other: str
) -> None:
    broker = RunningBroker(tmp_path / "broker")

    made = almanac(config, broker, "rebuild", "--file", str(broker.logins_file))

    assert made.returncode == 0, made.stderr
    assert broker.logins_file.stat().st_mode & 0o077 == 0, "others can read the tokens"
    broker.start()
    try:
        broker.wait_until_ready()
        assert gets_in(broker, token)
        assert gets_in(broker, other)
        assert not gets_in(broker, "b" * 32)
        assert almanac(config, broker, "check").stdout.startswith(LOGINS_ARE_RIGHT)
    finally:
        broker.stop()


def test_a_changed_secret_key_seals_the_tokens_again(
    config: Config, broker: RunningBroker, token: str, keeper: RunningKeeper, conn: DictConnection
) -> None:
    def opens_with(secret_key: str) -> bool:
        row = conn.execute("SELECT hash, sealed FROM device_tokens WHERE hash = %s", [hash_token(token)]).fetchone()
        assert row is not None
        return unseal(bytes(row["sealed"]), bytes(row["hash"]), secret_key) == token

    assert opens_with(config.secret_key)
    changed = RunningKeeper(config, broker, SECRET_KEY="another-secret-of-32-characters-x")
    keeper.stop()
    try:
        changed.start()
        changed.wait_until_ready()
        changed.stop()
        assert opens_with("another-secret-of-32-characters-x")
    finally:
        keeper.start()
        keeper.wait_until_ready()
    assert opens_with(config.secret_key)


def test_readings_of_a_device_that_logs_in_come_back_as_history(
    user: Caller, broker: RunningBroker, keeper: RunningKeeper, ingestor: RunningIngestor
) -> None:
    device = user.register_device()
    token = known(broker, device["device_token"])

    with MqttDevice(broker.device_url, token) as connected:
        assert connected.publish(f"device/sck/{token}/readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")

    day = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}
    wait_for(lambda: user.history(device["id"], 55, **day) == [["2026-01-15T08:30:00Z", 21.4]])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    make_certificates(directory)
    return directory


@pytest.fixture(scope="module")
def tls_broker(
    config: Config, tmp_path_factory: pytest.TempPathFactory, certificates: Path, token: str
) -> Iterator[RunningBroker]:
    """A broker where devices log in over TLS, as ./scripts/dev --tls starts it; it knows the token."""
    broker = RunningBroker(tmp_path_factory.mktemp("tls_broker"), certificates)
    almanac(config, broker, "rebuild", "--file", str(broker.logins_file))
    broker.start()
    try:
        broker.wait_until_ready()
        yield broker
    finally:
        broker.stop()


def test_a_device_that_trusts_the_authority_logs_in_over_tls(
    token: str, tls_broker: RunningBroker, certificates: Path
) -> None:
    with MqttDevice(tls_broker.device_url, token, ca=certificates / "ca.pem") as device:
        assert device.is_in
        assert device.publish(f"device/sck/{token}/readings")


# paho leaves a socket without a handshake to the garbage collector, which says so.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@leaves_a_socket
def test_a_device_that_does_not_trust_the_authority_sends_nothing(token: str, tls_broker: RunningBroker) -> None:
    with pytest.raises(ssl.SSLCertVerificationError), MqttDevice(tls_broker.device_url, token):
        pass


@leaves_a_socket
def test_the_authority_of_another_platform_is_not_enough(token: str, tls_broker: RunningBroker, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError), MqttDevice(tls_broker.device_url, token, ca=tmp_path / "ca.pem"):
        pass


def test_a_device_that_speaks_no_tls_is_refused(token: str, tls_broker: RunningBroker) -> None:
    with MqttDevice(tls_broker.device_url, token, trust=False) as device:
        assert not device.is_in


def test_the_logins_are_looked_after_over_tls_too(
    config: Config, tls_broker: RunningBroker, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = almanac(config, tls_broker, "check")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    checked = almanac(config, tls_broker, "check")

    assert "certificate verify failed" in refused.stderr
    assert "settings right" in checked.stdout


@pytest.mark.usefixtures("keeper")
def test_an_admin_has_the_keeper_take_stock_and_sees_how_it_went(admin: Caller, conn: DictConnection) -> None:
    def runs() -> int:
        row = conn.execute("SELECT run FROM jobs WHERE name = 'broker.take_stock'").fetchone()
        return int(row["run"]) if row else 0

    wait_for(runs)
    before = runs()
    assert admin.post("/v0/admin/jobs/broker.take_stock/run").status_code == 202
    wait_for(lambda: runs() > before)

    (stock,) = (job for job in admin.get("/v0/admin/jobs").json if job["name"] == "broker.take_stock")
    assert (stock["done_by"], stock["state"]) == ("broker keeper", "succeeded")
    assert {"missing", "surplus", "settings"} <= stock["result"].keys()
