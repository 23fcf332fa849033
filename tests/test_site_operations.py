"""What an operator of sites does: join, watch, compare, heal and leave. See tests/test_sites.py for what runs here."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest
from click.testing import CliRunner
from sites import START, Site, column, cut_off, new_device, new_sites, owner_of, rename, send, settle, site_sees
from waiting import wait_for

from app.accounts import create_account
from app.cli import almanac
from app.platform_metrics import Database
from app.sites.links import SiteError, init, peers
from sql import DictConnection, queries


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Site]]:
    """A site with an owner and readings, and an empty platform that joined it while readings came in."""
    with new_sites(2) as pair:
        one, two = pair
        owner = create_account(one.conn, username="owner", email="owner@example.org", password="correct horse")
        device_id = new_device(one, owner)
        send(one, device_id, {(55, minute): float(minute) for minute in range(600)})
        one.run("site", "init", "--id", "1", "--of", "2")
        two.run("site", "init", "--id", "2", "--of", "2")
        with readings_come_in(one, device_id) as sent:
            assert "copied" in two.run("site", "join", one.url)
            so_far = len(sent)
            wait_for(lambda: len(sent) > so_far + 5)
        settle(pair)
        assert column(two, "SELECT count(*) FROM datapoints") == [600 + len(sent)]
        yield pair


@contextmanager
def readings_come_in(site: Site, device_id: int) -> Iterator[list[int]]:
    stop, sent = Event(), list[int]()

    def send_one_after_the_other() -> None:
        while not stop.wait(0.02):
            send(site, device_id, {(55, 1000 + len(sent)): 1.0})
            sent.append(len(sent))

    thread = Thread(target=send_one_after_the_other)
    thread.start()
    try:
        wait_for(lambda: sent)
        yield sent
    finally:
        stop.set()
        thread.join()


def test_ids_of_two_sites_never_meet(pair: list[Site]) -> None:
    one, two = pair
    made = [new_device(site, owner_of(site)) for site in (one, two, one, two)]

    assert [device_id % 2 for device_id in made] == [1, 0, 1, 0]
    assert len({*made}) == 4


def numbers(site: Site) -> dict[str, float]:
    """What Prometheus gets of the other site, as the alerts know it."""
    samples = (sample for family in Database(site.server.url).collect() for sample in family.samples)
    return {sample.name: sample.value for sample in samples if sample.labels == {"site": "2"}}


def test_status_says_how_far_another_site_is_behind(pair: list[Site]) -> None:
    one, two = pair
    settle(pair)
    wait_for(lambda: "site 2: 0.0 s and" in one.run("site", "status"))
    assert "; received from" in one.run("site", "status")
    with cut_off(one):
        rename(one, 1, "not there yet")
        wait_for(lambda: "site 2: away" in one.run("site", "status"))
        wait_for(lambda: numbers(one)["almanac_site_lag_seconds"] > 0.5)
        assert numbers(one)["almanac_site_lag_bytes"] > 0
        assert numbers(one)["almanac_site_lost"] == 0
    site_sees(two, "SELECT name = 'not there yet' FROM devices WHERE id = 1")


def test_the_outbox_holds_nothing_that_every_site_has(pair: list[Site]) -> None:
    one, two = pair
    with cut_off(one):
        send(one, 1, {(55, 5000): 5.0})
        queries.prune_outbox(one.conn)
        assert column(one, "SELECT count(*) > 0 FROM outbox") == [True]
    settle(pair)
    one.conn.execute("CHECKPOINT")

    def pruned() -> bool:
        queries.prune_outbox(one.conn)
        return column(one, "SELECT count(*) FROM outbox") == [0]

    wait_for(pruned)
    assert column(two, "SELECT count(*) FROM outbox") == [0]


def test_check_finds_and_heals_what_somebody_has_broken(pair: list[Site]) -> None:
    one, two = pair
    settle(pair)
    assert "0 rows and 0 hours" in one.run("site", "check")
    with two.conn.transaction():
        queries.merge_as_replica(two.conn)  # past every trigger
        two.conn.execute("DELETE FROM datapoints WHERE value BETWEEN 100 AND 199")
        two.conn.execute("DELETE FROM components")
        two.conn.execute("UPDATE users SET city = 'Atlantis'")
    with one.conn.transaction():
        queries.merge_as_replica(one.conn)
        one.conn.execute("DELETE FROM datapoints WHERE value BETWEEN 500 AND 519")

    said = one.run("site", "check", fails=True)

    assert "site 2: 2 rows and" in said
    settle(pair)
    assert column(two, "SELECT count(*) FROM datapoints WHERE value BETWEEN 100 AND 199") == [100]
    assert column(one, "SELECT count(*) FROM datapoints WHERE value BETWEEN 500 AND 519") == [20]
    assert "0 rows and 0 hours" in two.run("site", "check")


@pytest.mark.parametrize("arguments", [["30"], ["30", "--owner", "owner"]], ids=["of all", "of an owner"])
def test_check_does_not_bring_back_what_one_site_keeps_no_longer(pair: list[Site], arguments: list[str]) -> None:
    one, _ = pair
    settle(pair)
    recently = datetime.now(UTC) - timedelta(days=1) - START
    send(one, 1, {(55, recently // timedelta(minutes=1)): 3.0})
    settle(pair)
    one.run("retention", *arguments)
    try:
        with one.conn.transaction():
            queries.merge_as_replica(one.conn)  # as a job drops chunks and days
            one.conn.execute("DELETE FROM datapoints")
        said = one.run("site", "check", fails=True)
        assert "site 2: 0 rows and 1 hours" in said
        assert column(one, "SELECT value FROM datapoints") == [3.0]
    finally:
        one.run("retention", "forever", *arguments[1:])
    assert one.run("site", "check", fails=True)
    settle(pair)
    assert column(one, "SELECT count(*) > 600 FROM datapoints") == [True]


def test_who_was_away_for_too_long_comes_back_through_a_check(pair: list[Site]) -> None:
    one, two = pair
    settle(pair)
    one.server.set(max_slot_wal_keep_size="1MB", max_wal_size="32MB", min_wal_size="32MB")
    with cut_off(one):
        send(one, 1, {(56, 1): 1.0})
        rename(one, 1, "while it was away")
        for _ in range(6):
            one.conn.execute("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 20000000))")
            one.conn.execute("SELECT pg_switch_wal()")
            one.conn.execute("CHECKPOINT")
        wait_for(lambda: numbers(one)["almanac_site_lost"])
        assert "was away for too long" in one.run("site", "status")
    assert "differed" in one.run("site", "check", fails=True)

    settle(pair)
    assert column(two, "SELECT name FROM devices WHERE id = 1") == ["while it was away"]
    send(one, 1, {(56, 2): 2.0})
    settle(pair)
    assert column(two, "SELECT count(*) FROM datapoints WHERE sensor_id = 56") == [2]


def test_a_site_that_is_away_is_named(pair: list[Site]) -> None:
    with cut_off(pair[1]):
        assert pair[0].run("site", "check", fails=True).startswith("Error: site 2 does not answer: ")
        assert (
            pair[0].run("site", "join", pair[1].url, fails=True).startswith("Error: the site to join does not answer: ")
        )


def test_a_site_that_goes_away_meanwhile_is_named(pair: list[Site]) -> None:
    one, two = pair
    with pytest.raises(SiteError, match="site 2 does not answer"), peers(one.conn) as others, cut_off(two):
        others[2].execute("SELECT 1")
    assert column(one, "SELECT 1") == [1]


def test_a_platform_with_data_of_its_own_cannot_join(pair: list[Site]) -> None:
    one, two = pair

    assert "accounts or datapoints here already" in two.run("site", "join", one.url, fails=True)


def test_sites_talk_over_encrypted_connections_or_not_at_all(pair: list[Site]) -> None:
    url = "postgresql://almanac@db.example.org/almanac?sslmode=prefer"

    assert "would not be encrypted: add ?sslmode=verify-full" in pair[1].run("site", "join", url, fails=True)


def test_a_server_that_is_not_fit_is_told_what_it_lacks(conn: DictConnection) -> None:
    with pytest.raises(SiteError, match=r"need PostgreSQL 16|superuser|ALTER SYSTEM SET wal_level"):
        init(conn, 1, 2)
    assert queries.site(conn) is None


@pytest.mark.parametrize("command", ["status", "check", "leave"])
def test_a_platform_that_is_no_site_is_told_how_it_becomes_one(
    monkeypatch: pytest.MonkeyPatch, database_url: str, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    answer = CliRunner().invoke(almanac, ["site", command])

    assert (answer.exit_code, answer.output) == (
        1,
        "Error: this platform is no site: `almanac site init --id K --of N` makes it one\n",
    )


def test_migrating_again_shares_the_columns_that_have_come(pair: list[Site]) -> None:
    one, two = pair
    for site in pair:
        site.conn.execute("ALTER TABLE devices ADD COLUMN colour text")
        site.run("migrate")
    one.conn.execute("UPDATE devices SET colour = 'green' WHERE id = 1")

    site_sees(two, "SELECT colour = 'green' FROM devices WHERE id = 1")


def test_who_leaves_leaves_no_slot_behind(pair: list[Site]) -> None:
    _, two = pair
    settle(pair)
    two.run("site", "leave")

    for site in pair:
        assert column(site, "SELECT slot_name FROM pg_replication_slots") == []
        assert column(site, "SELECT subname FROM pg_subscription") == []
    rename(two, 1, "on its own")
    send(two, 1, {(55, 0): 77.0})
    assert column(two, "SELECT count(*) FROM outbox") == [0]
    assert column(two, "SELECT value FROM datapoints WHERE device_id = 1 ORDER BY time LIMIT 1") == [77.0]
