"""Sites without a master, on real PostgreSQL servers that replicate to each other.

NOT ON A HYPERTABLE: the servers of the wheel have no TimescaleDB, so `datapoints` is a plain table here and the
aggregates are views; everything else is what runs in production. With TEST_POSTGRES_BIN=…/bin of a PostgreSQL that has
TimescaleDB, 16 or newer, the same tests run on real hypertables.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from caller import Caller, sign_up
from conftest import RunningBroker, RunningKeeper
from mail_server import Mailbox
from mqtt_device import MqttDevice, gets_in
from psycopg.types.json import Jsonb
from site_scenario import Scenario
from sites import (
    START,
    Site,
    column,
    cut_off,
    join_all,
    new_device,
    new_sites,
    owner_of,
    rename,
    send,
    settle,
    site_sees,
)
from waiting import wait_for

from app.accounts import create_account
from app.calibrations import add_calibration
from app.config import Config
from app.factory import create_app
from app.jobs import recalibrate
from app.jobs.purges import purge
from app.jobs.sites import tend
from ingestor.known import Known
from ingestor.tokens import hash_token
from sql import connect, queries


@pytest.fixture(scope="module")
def sites() -> Iterator[list[Site]]:
    """Three sites; the first had an owner with a device before there were any."""
    with new_sites(3) as sites:
        owner = create_account(sites[0].conn, username="owner", email="owner@example.org", password="correct horse")
        device_id = new_device(sites[0], owner)
        send(sites[0], device_id, {(55, 0): 1.5})
        join_all(sites)
        yield sites


def test_what_one_site_takes_all_have(sites: list[Site]) -> None:
    one, two, three = sites
    device_id = new_device(two, owner_of(two), "Roof")
    site_sees(three, "SELECT EXISTS (SELECT FROM devices WHERE id = %s)", device_id)
    assert send(three, device_id, {(55, 1): 21.5, (56, 1): 48.0}) == [True, True]
    settle(sites)

    for site in sites:
        rows = site.conn.execute(
            "SELECT c.key, c.latest_value, d.last_reading_at, d.data_version FROM components AS c"
            " JOIN devices AS d ON d.id = c.device_id WHERE d.id = %s ORDER BY c.key",
            [device_id],
        ).fetchall()
        when = START + timedelta(minutes=1)
        assert [tuple(row.values()) for row in rows] == [("h", 48.0, when, 1), ("t", 21.5, when, 1)]
        assert column(site, "SELECT datapoints FROM arrivals WHERE %s = ANY(device_ids)", device_id) == [2]
    assert one.conn.execute("SELECT count(*) AS n FROM datapoints").fetchone() == {"n": 3}


def test_a_late_reading_marks_its_day_at_every_site(sites: list[Site]) -> None:
    one, two, _ = sites
    device_id = new_device(one, owner_of(one))
    [horizon] = column(two, "SELECT horizon FROM rollup_horizon")
    two.conn.execute("UPDATE rollup_horizon SET horizon = %s", [START + timedelta(days=1)])
    send(one, device_id, {(55, 1): 1.0})
    settle(sites)
    two.conn.execute("UPDATE rollup_horizon SET horizon = %s", [horizon])

    assert column(two, "SELECT day FROM rollup_dirty WHERE device_id = %s", device_id) == [START.date()]


def test_an_ingestor_forgets_a_token_that_another_site_revokes(sites: list[Site]) -> None:
    one, two, _ = sites
    token, known = "revoked elsewhere", Known()

    def device_at_two() -> int | None:
        known.refresh(two.conn)
        return known.devices_of(two.conn, {token}, datetime.now(UTC)).get(token)

    device_id = new_device(one, owner_of(one))
    queries.insert_device_token(one.conn, device_id=device_id, hash=hash_token(token), sealed=None, expires_at=None)
    settle(sites)
    assert device_at_two() == device_id

    one.conn.execute("UPDATE device_tokens SET revoked_at = now() WHERE device_id = %s", [device_id])
    settle(sites)
    assert device_at_two() is None


def test_a_change_made_after_seeing_another_wins_whatever_the_clocks_say(sites: list[Site]) -> None:
    one, two, _ = sites
    device_id = new_device(one, owner_of(one))
    one.skew_clock(600)
    try:
        rename(one, device_id, "first")
        send(one, device_id, {(55, 1): 1.0})
        site_sees(two, "SELECT name = 'first' AND last_reading_at IS NOT NULL FROM devices WHERE id = %s", device_id)
        rename(two, device_id, "second")
        assert send(two, device_id, {(55, 1): 2.0}) == [True]
        settle(sites)
    finally:
        one.skew_clock(0)

    for site in sites:
        assert column(site, "SELECT name FROM devices WHERE id = %s", device_id) == ["second"]
        assert column(site, "SELECT value FROM datapoints WHERE device_id = %s", device_id) == [2.0]


def test_a_batch_that_two_sites_were_sent_while_apart_is_stored_and_counted_once(sites: list[Site]) -> None:
    one, two, three = sites
    device_id = new_device(one, owner_of(one))
    settle(sites)
    batch = {(55, minute): float(minute) for minute in range(5)}
    with cut_off(one, two):
        for site in (one, two, two):
            send(site, device_id, batch)
        later = dict.fromkeys(batch, 7.0)
        assert send(two, device_id, later) == [True] * 5
    settle(sites)

    for site in sites:
        assert column(site, "SELECT value FROM datapoints WHERE device_id = %s", device_id) == [7.0] * 5
        assert send(site, device_id, later) == [False] * 5
    assert column(three, "SELECT max(hlc) FROM datapoints WHERE device_id = %s", device_id) == column(
        two, "SELECT max(hlc) FROM datapoints WHERE device_id = %s", device_id
    )


def test_of_a_batch_that_another_site_has_in_part_it_takes_the_rest(sites: list[Site]) -> None:
    one, two, _ = sites
    device_id = new_device(one, owner_of(one))
    settle(sites)
    with cut_off(one, two):
        send(one, device_id, {(55, 1): 1.0, (55, 2): 2.0, (56, 2): 3.0})
        send(two, device_id, {(55, 2): 2.0, (55, 3): 8.0})
    settle(sites)

    for site in sites:
        query = "SELECT value FROM datapoints WHERE device_id = %s ORDER BY sensor_id, time"
        assert column(site, query, device_id) == [1.0, 2.0, 8.0, 3.0]
        query = "SELECT latest_value FROM components WHERE device_id = %s ORDER BY sensor_id"
        assert column(site, query, device_id) == [8.0, 3.0]


def test_what_a_site_sends_that_is_not_migrated_yet_is_understood(sites: list[Site]) -> None:
    one, two, _ = sites
    device_id = new_device(one, owner_of(one))
    send(one, device_id, {(55, 1): 1.0, (56, 1): 1.0})
    settle(sites)
    one.conn.execute(
        "WITH later AS ("
        "  INSERT INTO datapoints (device_id, sensor_id, time, raw, value, hlc)"
        "  SELECT device_id, sensor_id, time + i * INTERVAL '1 minute', i + 1.5, i + 1.5, n"
        "  FROM datapoints CROSS JOIN generate_series(1, 2) AS i CROSS JOIN next_hlc() AS n WHERE device_id = %s"
        "  RETURNING *)"
        " INSERT INTO outbox (hlc, device_ids, sensor_ids, times, raws, keys)"
        " SELECT hlc, array_agg(device_id), array_agg(sensor_id), array_agg(time), array_agg(raw), ''"
        " FROM later GROUP BY hlc",
        [device_id],
    )
    settle(sites)

    for name, value in (("latest_value", 3.5), ("previous_value", 2.5)):
        assert column(two, f"SELECT {name} FROM components WHERE device_id = %s", device_id) == [value] * 2


def test_what_a_machine_writes_does_not_undo_what_a_person_writes_elsewhere(sites: list[Site]) -> None:
    one, two, _ = sites
    device_id = new_device(one, owner_of(one))
    settle(sites)
    with cut_off(one, two):
        rename(one, device_id, "by a person")
        queries.update_hardware_info(two.conn, device_ids=[device_id], infos=[Jsonb({"by": "a kit, later"})])
    settle(sites)

    for site in sites:
        assert column(site, "SELECT name FROM devices WHERE id = %s", device_id) == ["by a person"]


def test_of_two_accounts_of_one_name_the_later_one_gives_way_and_is_told_once(
    sites: list[Site],
    redis_url: str,
    worker_env: dict[str, str],
    work: Callable[[], None],
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two, three = sites
    with cut_off(one, two, three):
        older = create_account(one.conn, username="Ada", email="ada@example.org", password="correct horse battery")
        later = create_account(three.conn, username="ada", email="Ada@example.org", password="correct horse battery")
        send_later = new_device(three, later)
    settle(sites)

    for site in sites:
        found = site.conn.execute("SELECT username, email FROM users WHERE id = ANY(%s) ORDER BY id", [[older, later]])
        assert sorted(tuple(row.values()) for row in found) == [
            ("Ada", "ada@example.org"),
            (f"ada-{later}", f"Ada+{later}@example.org"),
        ]
        assert column(site, "SELECT owner_id FROM devices WHERE id = %s", send_later) == [later]
    for site in (*sites, *sites):
        monkeypatch.setenv("DATABASE_URL", site.server.url)
        tend()
    monkeypatch.setenv("DATABASE_URL", worker_env["DATABASE_URL"])
    work()
    assert {message["To"] for message in mailbox.messages} == {"Ada@example.org", f"Ada+{later}@example.org"}
    assert len(mailbox.messages) == 2
    assert f"ada-{later}" in mailbox.text()


def test_a_calibration_reaches_what_another_site_received_without_it(
    sites: list[Site], worker_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = sites
    device_id = new_device(one, owner_of(one))
    send(one, device_id, {(55, 1): 10.0})
    settle(sites)
    with cut_off(one, two, three):
        with one.conn.transaction():
            add_calibration(
                one.conn, sensor_id=55, equation="raw + 0.5", valid_from=START, author_id=None, device_id=device_id
            )
        send(two, device_id, {(55, 2): 20.0})
    settle(sites)
    for site in sites:
        monkeypatch.setenv("DATABASE_URL", site.server.url)
        recalibrate.work()
    settle(sites)

    for site in sites:
        assert column(site, "SELECT value FROM datapoints WHERE device_id = %s ORDER BY time", device_id) == [
            10.5,
            20.5,
        ]


def test_a_reading_that_waits_for_a_redo_is_later_than_what_that_writes(sites: list[Site]) -> None:
    site = sites[0]
    device_id = new_device(site, owner_of(site))
    send(site, device_id, {(55, 1): 10.0})
    site.conn.execute(
        "INSERT INTO recalibrations (device_id, sensor_id, range_start, range_end, done_until, state)"
        " VALUES (%s, 55, now(), now(), now(), 'running')",
        [device_id],
    )
    site.conn.execute("UPDATE rollup_horizon SET recalibrating = true")
    with connect(site.server.url) as redo:
        with redo.transaction():
            queries.lock_readings(redo, device_ids=[device_id])
            sending = Thread(target=send, args=[site, device_id, {(55, 1): 20.0}])
            sending.start()
            waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            wait_for(lambda: redo.execute(waiting).fetchone() is not None)
            hlc = queries.next_hlc(redo)
            redo.execute("UPDATE datapoints SET value = 11, hlc = %s WHERE device_id = %s", [hlc, device_id])
        sending.join()
        redo.execute("DELETE FROM recalibrations WHERE device_id = %s", [device_id])
        redo.execute("UPDATE rollup_horizon SET recalibrating = false")

    assert column(site, "SELECT value FROM datapoints WHERE device_id = %s", device_id) == [20.0]


def test_a_purged_device_leaves_nothing_at_any_site(sites: list[Site]) -> None:
    one, two, three = sites
    device_id = new_device(one, owner_of(one))
    send(one, device_id, {(55, 1): 10.0})
    settle(sites)
    with cut_off(two):
        send(two, device_id, {(55, 2): 10.0})  # still under way when the device is gone
        queries.archive_device(one.conn, id=device_id)
        queries.insert_purge(one.conn, device_id=device_id, owner_id=owner_of(one))
        purge(one.conn, device_id)
        for site in (two, three):
            site_sees(site, "SELECT EXISTS (SELECT FROM device_purges WHERE device_id = %s)", device_id)
            assert column(site, "SELECT archived_at IS NOT NULL FROM devices WHERE id = %s", device_id) == [True]
            purge(site.conn, device_id)
    settle(sites)

    for site in sites:
        for table, key in (("devices", "id"), ("components", "device_id"), ("datapoints", "device_id")):
            assert column(site, f"SELECT 1 FROM {table} WHERE {key} = %s", device_id) == []


def test_readings_that_come_before_their_device_are_its_readings(sites: list[Site]) -> None:
    one, two, three = sites
    three.conn.execute("ALTER SUBSCRIPTION almanac_from_1 DISABLE")
    device_id = new_device(one, owner_of(one))
    site_sees(two, "SELECT EXISTS (SELECT FROM devices WHERE id = %s)", device_id)
    send(two, device_id, {(55, 3): 7.5})
    site_sees(three, "SELECT EXISTS (SELECT FROM datapoints WHERE device_id = %s)", device_id)
    assert column(three, "SELECT id FROM devices WHERE id = %s", device_id) == []
    three.conn.execute("ALTER SUBSCRIPTION almanac_from_1 ENABLE")
    settle(sites)

    when = START + timedelta(minutes=3)
    assert column(three, "SELECT last_reading_at FROM devices WHERE id = %s", device_id) == [when]
    assert column(three, "SELECT latest_value FROM components WHERE device_id = %s", device_id) == [7.5]


def test_a_token_and_its_end_take_effect_at_every_sites_broker_and_api(
    sites: list[Site], config: Config, broker: RunningBroker
) -> None:
    one, two, _ = sites
    here, there = (create_app(replace(config, database_url=site.server.url)) for site in (one, two))
    keeper = RunningKeeper(replace(config, database_url=two.server.url), broker)
    keeper.start()
    try:
        keeper.wait_until_ready()
        owner = sign_up(here, username="mover")
        made = owner.register_device()
        token, device_id = made["device_token"], made["id"]
        wait_for(lambda: gets_in(broker, token), 10)
        moved = Caller(there, owner.access_token, owner.user)
        assert moved.get("/v0/me").json["username"] == "mover"
        listed = moved.get(f"/v0/devices/{device_id}/tokens").json
        with MqttDevice(broker.device_url, token) as device:
            assert owner.delete(f"/v0/devices/{device_id}/tokens/{listed[0]['id']}").status_code < 300
            assert device.cut_off.wait(10)
        assert owner.delete("/v0/sessions").status_code < 300
        wait_for(lambda: moved.get("/v0/me").status_code == 401, 10)
    finally:
        keeper.stop()


@pytest.mark.parametrize("seed", [1, 2])
def test_all_sites_end_with_the_same_whatever_happens(
    sites: list[Site], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scenario(sites, random.Random(seed), monkeypatch).run(steps=400)
