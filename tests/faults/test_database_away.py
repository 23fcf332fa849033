"""The database stopped, frozen or full, Redis down: nothing is acknowledged that is not stored, and all comes right."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor, running
from fleet import Device, Fleet
from waiting import wait_for

from app.config import Config
from app.factory import create_app
from app.seed import seed
from ingestor.tokens import hash_token
from scripts import services
from scripts.supervisor import Child
from sql import connect, is_refusal, queries
from sql.migrate import migrate

PATIENCE_S = "1"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Child, str]]:
    """A database of its own, which may be stopped, and its address."""
    port = services.free_port()
    url = services.database_url(port)
    with running(services.database(tmp_path_factory.mktemp("fragile"), port)) as child:
        migrate(url)
        with psycopg.connect(url, prepare_threshold=None) as conn:
            seed(conn)
        yield child, url


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """A broker of its own: what it keeps is for this database alone."""
    broker = RunningBroker(tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        broker.wait_until_ready()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def daemon(database: tuple[Child, str], broker: RunningBroker) -> Iterator[RunningIngestor]:
    """An ingestor of that database, which tells how it fares."""
    port = str(services.free_port())
    daemon = RunningIngestor(database[1], broker.platform_url, METRICS_PORT=port, DATABASE_PATIENCE_SECONDS=PATIENCE_S)
    daemon.start()
    try:
        daemon.wait_until_ready()
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture
def fleet(database: tuple[Child, str], broker: RunningBroker, daemon: RunningIngestor) -> Iterator[Fleet]:
    devices = []
    with connect(database[1]) as conn:
        row = (
            conn.execute("SELECT id FROM users LIMIT 1").fetchone()
            or conn.execute(
                "INSERT INTO users (username, email, password_hash) VALUES ('ada', 'ada@example.org', '') RETURNING id"
            ).fetchone()
        )
        assert row is not None
        for number in range(3):
            made = conn.execute(
                "INSERT INTO devices (owner_id, name) VALUES (%s, 'Balcony') RETURNING id", [row["id"]]
            ).fetchone()
            assert made is not None
            token = f"fragile{made['id']}-{number}"
            queries.insert_device_token(
                conn, device_id=made["id"], hash=hash_token(token), sealed=None, expires_at=None
            )
            devices.append(Device(made["id"], token))
    fleet = Fleet(broker, devices)
    yield fleet
    fleet.close()


def ask(daemon: RunningIngestor, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{daemon.service.env['METRICS_PORT']}{path}", timeout=5
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def health(daemon: RunningIngestor) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ask(daemon, "/readyz")[1])
    return answer


def memory_mb(daemon: RunningIngestor) -> float:
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_a_stopped_database_costs_nothing_but_time(
    database: tuple[Child, str], daemon: RunningIngestor, fleet: Fleet
) -> None:
    child, url = database
    fleet.publish(50)
    wait_for(lambda: health(daemon)["status"] == "ok")
    child.stop()
    try:
        before = memory_mb(daemon)
        fleet.publish(1000)
        fleet.settle()  # the broker keeps it
        wait_for(lambda: health(daemon)["database"] != "ok")
        assert [ask(daemon, path)[0] for path in ("/readyz", "/healthz")] == [503, 200]
        assert any('"event":"database away"' in line for line in daemon.last_lines)
        assert memory_mb(daemon) - before < 50
    finally:
        child.start()
        child.wait_until_ready()

    with connect(url) as conn:
        fleet.check(conn)
    wait_for(lambda: health(daemon)["status"] == "ok")


def test_a_frozen_database_counts_as_gone(database: tuple[Child, str], daemon: RunningIngestor, fleet: Fleet) -> None:
    child, url = database
    fleet.publish(50)
    wait_for(lambda: any('"event":"batch"' in line for line in daemon.last_lines))
    os.killpg(child.pid, signal.SIGSTOP)
    try:
        fleet.publish(200)
        wait_for(lambda: health(daemon)["database"] != "ok")
        assert ask(daemon, "/healthz")[0] == 200
    finally:
        os.killpg(child.pid, signal.SIGCONT)

    with connect(url) as conn:
        fleet.check(conn)
    wait_for(lambda: health(daemon)["status"] == "ok")


def test_a_full_disk_is_told_and_outlived(database: tuple[Child, str], daemon: RunningIngestor, fleet: Fleet) -> None:
    """PostgreSQL's own answer to a full disk, from a trigger: no part of ours can tell the difference."""
    with connect(database[1]) as conn:
        conn.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END; $$"
        )
        conn.execute("CREATE TRIGGER full_disk BEFORE INSERT ON datapoints FOR EACH ROW EXECUTE FUNCTION full_disk()")
        fleet.publish(50)
        wait_for(lambda: any("No space left" in line and "next_try_s" in line for line in daemon.last_lines))
        assert fleet.stored(conn) == {}
        conn.execute("DROP TRIGGER full_disk ON datapoints")
        conn.execute("DROP FUNCTION full_disk")

        fleet.check(conn)


@pytest.mark.parametrize("state", ["08006", "25006", "25P03", "53100", "57014", "57P01"])
def test_what_a_database_says_as_it_goes_is_no_fault_of_a_message(database: tuple[Child, str], state: str) -> None:
    with connect(database[1]) as conn, pytest.raises(psycopg.Error) as raised:
        conn.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    assert raised.value.sqlstate == state
    assert not is_refusal(raised.value)


def test_a_deadlock_is_no_outage(database: tuple[Child, str], daemon: RunningIngestor, fleet: Fleet) -> None:
    with connect(database[1]) as conn:
        conn.execute("CREATE SEQUENCE tries")
        conn.execute(
            "CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('tries') = 1 THEN RAISE deadlock_detected; END IF; RETURN NEW; END; $$"
        )
        conn.execute("CREATE TRIGGER meet BEFORE INSERT ON datapoints FOR EACH ROW EXECUTE FUNCTION meet()")
        fleet.publish(50)
        fleet.check(conn)
        conn.execute("DROP TRIGGER meet ON datapoints")

    events = [json.loads(line)["event"] for line in daemon.last_lines if line.startswith("{")]
    assert ("deadlock" in events, "database away" in events) == (True, False)


def test_a_message_beyond_a_limit_of_the_database_is_kept_aside_alone(
    database: tuple[Child, str], daemon: RunningIngestor, fleet: Fleet
) -> None:
    with connect(database[1]) as conn:
        conn.execute(
            "CREATE FUNCTION limit_size() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.value = 666 THEN RAISE program_limit_exceeded; END IF; RETURN NEW; END; $$"
        )
        conn.execute("CREATE TRIGGER limit_size BEFORE INSERT ON datapoints FOR EACH ROW EXECUTE FUNCTION limit_size()")
        fleet.publish(20)
        fleet.publish_raw(fleet.devices[0], b"{t:2026-01-15T08:30:00Z,55:666}")
        fleet.publish(20)
        fleet.check(conn)
        wait_for(lambda: fleet.quarantined(conn))
        conn.execute("DROP TRIGGER limit_size ON datapoints")

        assert [row["reason"] for row in fleet.quarantined(conn)] == ["refused_by_database"]


def test_prometheus_gets_the_ledger(daemon: RunningIngestor, fleet: Fleet, database: tuple[Child, str]) -> None:
    fleet.publish(10)
    device = fleet.devices[0]
    fleet.publish_raw(device, b"{t:2026-01-15T08:30:00Z,9999:1}")
    with connect(database[1]) as conn:
        fleet.check(conn)
        wait_for(lambda: fleet.quarantined(conn))

    numbers = dict(line.rsplit(" ", 1) for line in ask(daemon, "/metrics")[1].splitlines() if line[0] != "#")
    assert float(numbers['almanac_ingest_datapoints_total{result="stored"}']) >= 40
    assert float(numbers['almanac_ingest_datapoints_total{result="quarantined"}']) == 1
    assert float(numbers["almanac_ingest_messages_total"]) >= 11
    assert float(numbers["almanac_ingest_broker_connected"]) == 1
    assert ask(daemon, "/nothing")[0] == 404


def test_readings_are_taken_over_http_while_redis_is_down(config: Config, user: Caller) -> None:
    device = user.register_device()
    without = create_app(replace(config, redis_url=f"redis://127.0.0.1:{services.free_port()}/0"))

    answer = Caller(without, user.access_token).post(
        f"/v0/devices/{device['id']}/readings",
        {"data": [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 21.4}]}]},
    )

    assert (answer.status_code, answer.json["stored"]) == (200, 1)
