"""A replica answers history, maps and exports as the primary would, and the primary does while it cannot."""

import gzip
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from caller import Caller
from conftest import NO_LIMITS
from flask import Flask
from postgres_servers import PostgresServer, primary_and_standby
from waiting import wait_for

from app.api import maps
from app.config import Config
from app.database import source
from app.factory import create_app
from scripts.services import free_port
from sql import open_pool, replicas
from sql.replicas import Replicas

Servers = tuple[PostgresServer, PostgresServer]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with primary_and_standby() as servers:
        yield servers


@pytest.fixture(scope="module")
def config(servers: Servers, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    primary, standby = servers
    storage_url = tmp_path_factory.mktemp("storage").as_uri()
    return Config(
        primary.url,
        redis_url,
        secrets.token_urlsafe(32),
        pool_size=4,
        database_read_url=standby.url,
        storage_url=storage_url,
        **NO_LIMITS,
    )


@pytest.fixture(scope="module")
def app(config: Config) -> Flask:
    return create_app(config)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica is asked again at once: a test does not wait for what the one before has left."""
    monkeypatch.setattr(replicas, "LEFT_ALONE_S", 0.0)


@pytest.fixture
def paused(servers: Servers) -> Iterator[None]:
    """The replica receives and does not replay."""
    servers[1].execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: servers[1].execute("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    yield
    servers[1].execute("SELECT pg_wal_replay_resume()")


def send(user: Caller, device: dict[str, Any], minute: int) -> None:
    when = f"2026-01-15T08:{minute:02d}:00Z"
    body = {"data": [{"recorded_at": when, "sensors": [{"id": 55, "value": float(minute)}]}]}
    assert user.post(f"/v0/devices/{device['id']}/readings", body).json["stored"] == 1


def minutes(user: Caller, device: dict[str, Any]) -> list[float]:
    return [value for _, value in user.history(device["id"], 55, rollup="1m", **{"from": "2026-01-15"})]


def asked_of(server: PostgresServer, words: str) -> bool:
    """Whether a connection of ours to the server has asked this last; the text of a query holds its own name."""
    return any(words in str(query) for (query,) in server.execute("SELECT query FROM pg_stat_activity"))


def test_each_write_is_seen_at_once_in_answers_of_the_replica(user: Caller, servers: Servers) -> None:
    device = user.register_device()
    servers[1].set(recovery_min_apply_delay="30ms")
    for minute in range(10):
        send(user, device, minute)
        assert minutes(user, device) == list(range(minute + 1))
    servers[1].set(recovery_min_apply_delay="0")

    assert asked_of(servers[1], "FROM datapoints")
    assert not asked_of(servers[0], "FROM datapoints\n")


def test_an_answer_claims_no_more_than_the_primary_had_confirmed_when_the_replica_was_chosen(
    user: Caller, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = user.register_device()
    before = datetime.now(UTC)
    with app.app_context():
        chosen = source()
    assert chosen.complete_as_of is not None
    assert before <= chosen.complete_as_of <= datetime.now(UTC)

    earlier = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
    monkeypatch.setattr("app.api.readings.source", lambda: chosen._replace(complete_as_of=earlier))
    for path in ("readings?sensor_id=55&rollup=1m", "readings/summary"):
        answer = user.get(f"/v0/devices/{device['id']}/{path}")
        assert answer.json["complete_as_of"] == "2026-01-15T08:30:00Z"


def test_what_is_made_private_is_private_at_once_on_the_replicas_maps(
    user: Caller, anybody: Caller, servers: Servers
) -> None:
    device = user.register_device(latitude=41.4, longitude=2.1)
    send(user, device, 1)

    def shown() -> bool:
        maps.forget()
        features = orjson.loads(anybody.get("/v0/devices/map.geojson").data)["features"]
        return any(feature.get("id") == device["id"] for feature in features)

    assert shown()
    assert user.patch(f"/v0/devices/{device['id']}", {"is_private": True}).status_code == 200
    assert not shown()
    assert asked_of(servers[1], "percentile_disc")


@pytest.mark.usefixtures("paused")
def test_a_replica_that_lags_too_far_is_left_alone_and_the_primary_answers(
    user: Caller, caplog: pytest.LogCaptureFixture, servers: Servers
) -> None:
    device = user.register_device()
    send(user, device, 7)

    with caplog.at_level(logging.WARNING):
        assert minutes(user, device) == [7.0]

    (record,) = [record for record in caplog.records if record.message == "replica left alone"]
    assert record.__dict__["replica"] == f"127.0.0.1:{servers[1].port}"
    assert "0.25 s behind" in record.__dict__["error"]


def test_a_replica_that_is_gone_is_replaced_by_the_primary_until_it_is_back(user: Caller, servers: Servers) -> None:
    device = user.register_device()
    send(user, device, 1)
    assert minutes(user, device) == [1.0]

    servers[1].kill()
    send(user, device, 2)
    assert minutes(user, device) == [1.0, 2.0]

    servers[1].start()
    servers[1].wait_until_ready()
    wait_for(lambda: minutes(user, device) == [1.0, 2.0] and asked_of(servers[1], "FROM datapoints"))


def test_an_export_is_read_from_the_replica(
    user: Caller, work: Callable[[], None], servers: Servers, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_READ_URL", config.database_read_url)
    device = user.register_device()
    send(user, device, 3)
    made = user.post("/v0/exports", {"device_ids": [device["id"]]})
    servers[1].set(log_statement="all")

    work()

    wait_for(lambda: any("FROM datapoints" in line for line in servers[1].last_lines))
    servers[1].set(log_statement="none")

    assert user.get(f"/v0/exports/{made.json['id']}").json["state"] == "finished"
    (file,) = Path(config.storage_url.removeprefix("file://")).rglob("*.csv*")
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    assert b",3" in data


@pytest.mark.usefixtures("paused")
def test_a_replica_that_is_left_alone_is_not_asked_again_for_a_while(
    user: Caller, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "LEFT_ALONE_S", 3600.0)
    device = user.register_device()
    with caplog.at_level(logging.WARNING):
        for minute in range(3):
            send(user, device, minute)
            assert minutes(user, device) == list(range(minute + 1))

    assert [record.message for record in caplog.records].count("replica left alone") == 1


def test_replicas_take_turns_and_one_that_is_gone_passes_its_turn_on(servers: Servers) -> None:
    primary, standby = servers
    gone = free_port()
    with (
        open_pool(primary.url, max_size=1) as pool,
        closing(Replicas(pool, hosts("localhost", "127.0.0.1", ports=[standby.port] * 2), 1)) as both,
        closing(Replicas(pool, hosts("127.0.0.1", "127.0.0.1", ports=[gone, standby.port]), 1)) as one,
    ):
        turns = [both.source() for _ in range(4)]
        assert [source.pool for source in turns[:2]] == [source.pool for source in turns[2:]]
        assert len({source.pool for source in turns} | {pool}) == 3
        for _ in range(2):
            source = one.source()
            assert (source.pool.conninfo.count(str(standby.port)), source.complete_as_of is not None) == (1, True)


def hosts(*names: str, ports: list[int]) -> str:
    """The address of several servers."""
    return f"postgresql://almanac@/postgres?host={','.join(names)}&port={','.join(map(str, ports))}"
