"""The primary killed and its standby promoted: the same processes go on, and replication keeps what it promises."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from caller import Caller, sign_up
from conftest import NO_LIMITS, RunningBroker, RunningForwarder, RunningIngestor, RunningKeeper
from flask import Flask
from fleet import Fleet, make_fleet
from postgres_servers import PostgresServer, either, primary_and_standby
from waiting import wait_for

from app.config import Config
from app.factory import create_app
from sql import connect

Servers = tuple[PostgresServer, PostgresServer]


@pytest.fixture
def servers() -> Iterator[Servers]:
    with primary_and_standby() as servers:
        yield servers


@pytest.fixture
def app(servers: Servers, redis_url: str) -> Flask:
    return create_app(
        Config(either(*reversed(servers)), redis_url, secrets.token_urlsafe(32), pool_size=4, **NO_LIMITS)
    )


@pytest.fixture
def ingestor(servers: Servers, broker: RunningBroker) -> Iterator[RunningIngestor]:
    ingestor = RunningIngestor(either(*reversed(servers)), broker.platform_url)
    ingestor.start()
    try:
        ingestor.wait_until_ready()
        yield ingestor
    finally:
        ingestor.stop()


@pytest.fixture
def owner(app: Flask) -> Caller:
    return sign_up(app)


@pytest.fixture
def fleet(broker: RunningBroker, owner: Caller, ingestor: RunningIngestor) -> Iterator[Fleet]:
    fleet = make_fleet(broker, owner)
    yield fleet
    fleet.close()


def fail_over(servers: Servers) -> None:
    primary, standby = servers
    primary.kill()
    standby.promote()


def send(owner: Caller, device_id: int, minute: int) -> int:
    body = {"data": [{"recorded_at": f"2026-02-15T08:{minute:02d}:00Z", "sensors": [{"id": 55, "value": minute}]}]}
    return owner.post(f"/v0/devices/{device_id}/readings", body).status_code


def test_with_synchronous_replication_no_confirmed_write_is_lost(
    servers: Servers, owner: Caller, fleet: Fleet, ingestor: RunningIngestor
) -> None:
    primary, standby = servers
    primary.set(synchronous_standby_names="*")
    wait_for(lambda: primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
    process, device_id = ingestor.pid, fleet.devices[0].id
    confirmed = []
    with fleet.publishing():
        for minute in range(20):
            if send(owner, device_id, minute) == 200:
                confirmed.append(float(minute))
            if minute == 9:
                fail_over(servers)

    with connect(standby.url) as conn:
        fleet.settle()
        wait_for(lambda: fleet.sent.keys() <= fleet.stored(conn).keys())
        over_http = {key: value for key, value in fleet.stored(conn).items() if key not in fleet.sent}
        assert {key: value for key, value in fleet.stored(conn).items() if key in fleet.sent} == fleet.sent
    assert set(confirmed) <= set(over_http.values())
    assert confirmed[-1] == 19.0  # the API has found the new primary
    assert (ingestor.exit_code, ingestor.pid) == (None, process)


def test_with_asynchronous_replication_just_what_had_not_been_sent_is_lost(
    servers: Servers, fleet: Fleet, ingestor: RunningIngestor
) -> None:
    primary, standby = servers
    fleet.publish(50)
    with connect(primary.url) as conn:
        fleet.check(conn)
    wait_for(lambda: primary.execute("SELECT replay_lsn = pg_current_wal_lsn() FROM pg_stat_replication") == [(True,)])
    replicated = dict(fleet.sent)
    standby.set(primary_conninfo="")  # the way between the two is cut
    wait_for(lambda: not primary.execute("SELECT pid FROM pg_stat_replication"))
    fleet.publish(30)
    with connect(primary.url) as conn:
        fleet.check(conn)
    lost = fleet.sent.keys() - replicated.keys()

    fail_over(servers)
    fleet.publish(50)

    with connect(standby.url) as conn:
        fleet.settle()
        expected = {key: value for key, value in fleet.sent.items() if key not in lost}
        wait_for(lambda: len(fleet.stored(conn)) >= len(expected))
        assert fleet.stored(conn) == expected
    assert len(lost) == 30 * 4
    assert ingestor.exit_code is None


def test_the_api_gives_out_no_connection_of_a_server_that_is_gone(servers: Servers, owner: Caller, app: Flask) -> None:
    device_id = owner.register_device()["id"]
    pool = app.extensions["database_pool"]
    held = [pool.getconn() for _ in range(4)]
    for conn in held:
        pool.putconn(conn)

    fail_over(servers)

    assert [send(owner, device_id, minute) for minute in range(8)] == [200] * 8


def test_a_server_that_has_become_a_standby_counts_as_one_that_is_away(
    servers: Servers, owner: Caller, fleet: Fleet, ingestor: RunningIngestor
) -> None:
    primary, standby = servers
    primary.set(default_transaction_read_only="on")
    fleet.publish(20)
    device_id = fleet.devices[0].id
    wait_for(lambda: any('"event":"database away"' in line for line in ingestor.last_lines))
    assert send(owner, device_id, 1) == 503

    fail_over(servers)
    standby.set(default_transaction_read_only="off")

    with connect(standby.url) as conn:
        fleet.check(conn)
        assert fleet.quarantined(conn) == []


@pytest.mark.parametrize("follower", [RunningKeeper, RunningForwarder])
def test_who_follows_the_database_goes_over_from_a_server_that_has_become_a_standby(
    servers: Servers, app: Flask, broker: RunningBroker, follower: type[RunningKeeper | RunningForwarder]
) -> None:
    primary, standby = servers
    program = follower(app.extensions["config"], broker)
    program.start()

    def says_last(event: str) -> bool:
        return any(f'"event":"{event}"' in line for line in list(program.last_lines)[-1:])

    try:
        program.wait_until_ready()
        primary.set(default_transaction_read_only="on")
        with psycopg.connect(primary.url, options="-c default_transaction_read_only=off") as conn:
            conn.execute("UPDATE jobs SET due_at = now()")  # what the keeper notes when it has done it
        wait_for(lambda: says_last("away"))

        fail_over(servers)
        standby.set(default_transaction_read_only="off")

        wait_for(lambda: says_last("stock taken") or says_last("forwarding"))
        assert program.exit_code is None
    finally:
        program.stop()
