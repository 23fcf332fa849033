"""What devices send that they should not: again and again, out of order, poison, and times of another age."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from fleet import Fleet, make_fleet
from waiting import wait_for

from sql import DictConnection

DEEP = b'{"data":' + b"[" * 100_000


@pytest.fixture
def fleet(broker: RunningBroker, user: Caller, ingestor: RunningIngestor) -> Iterator[Fleet]:
    fleet = make_fleet(broker, user)
    yield fleet
    fleet.close()
    assert ingestor.exit_code is None


def test_every_message_three_times_in_any_order_is_stored_once(fleet: Fleet, conn: DictConnection) -> None:
    planned = [fleet.next_reading() for _ in range(300)]
    copies = planned * 3
    random.Random(6).shuffle(copies)
    for device, payload, expected in copies:
        fleet.publish_raw(device, payload)
        fleet.sent |= expected

    fleet.check(conn)


def test_poison_goes_to_quarantine_and_costs_no_neighbour(fleet: Fleet, conn: DictConnection) -> None:
    device = fleet.devices[0]
    poison = [
        ("readings", b"{bad json", "unreadable"),
        ("readings", b"x" * 1_000_000, "unreadable"),
        ("readings", b'{"data":"\x00"}', "unreadable"),
        ("readings", DEEP, "unreadable"),
        ("readings", b'{"data":[]}', None),
        ("readings", _json(55, "NaN"), "not_a_number"),
        ("readings", _json(55, "1e999"), "not_a_number"),
        ("readings", _json(99999999999999999999, "1"), "unknown_sensor"),
        ("readings", _json(-1, "1"), "unknown_sensor"),
        ("readings", _json('"\\u0000"', "1"), "unknown_sensor"),
        ("readings", _json('"\\ud800"', "1"), None),
        ("info", b'{"hw_ver":"\\u0000"}', "unreadable"),
        ("readings/raw", b"{t:2026-01-15T08:30:00Z,55:inf}", "not_a_number"),
    ]
    fleet.publish(100)
    for kind, payload, _ in poison:
        fleet.publish_raw(device, payload, kind)
        fleet.publish(30)

    fleet.check(conn)
    reasons = sorted(row["reason"] for row in fleet.quarantined(conn) if b"ud800" not in bytes(row["payload"]))
    assert reasons == sorted(reason for _, _, reason in poison if reason is not None)


def test_one_bad_value_among_five_hundred_costs_only_itself(fleet: Fleet, conn: DictConnection) -> None:
    device = fleet.devices[0]
    readings = [
        {"recorded_at": f"2026-01-15T{minute // 60:02}:{minute % 60:02}:00Z", "sensors": [{"id": 55, "value": 1.5}]}
        for minute in range(501)
    ]
    readings[250]["sensors"] = [{"id": 55, "value": "broken"}]
    fleet.publish_raw(device, json.dumps({"data": readings}).encode(), "readings")

    wait_for(lambda: len(fleet.stored(conn)) == 500 and len(fleet.quarantined(conn)) == 1)


def test_no_clock_makes_a_chunk_or_an_aggregate_run_away(fleet: Fleet, conn: DictConnection) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    times = {
        "1970-01-01T00:00:00Z": False,
        "1999-12-31T23:59:59Z": False,
        "2000-01-01T00:00:00Z": True,
        f"{now + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}": True,
        f"{now + timedelta(hours=23):%Y-%m-%dT%H:%M:%SZ}": True,
        f"{now + timedelta(hours=25):%Y-%m-%dT%H:%M:%SZ}": False,
        "2106-02-07T06:28:15Z": False,
        "9999-12-31T23:59:59Z": False,
    }
    chunks = "SELECT count(*) AS n FROM timescaledb_information.chunks WHERE hypertable_name = 'datapoints'"
    before = conn.execute(chunks).fetchone()
    for time in times:
        fleet.publish_raw(fleet.devices[0], f"{{t:{time},55:1}}".encode())

    good = sum(times.values())
    wait_for(lambda: len(fleet.stored(conn)) == good and len(fleet.quarantined(conn)) == len(times) - good)
    after = conn.execute(chunks).fetchone()
    assert {row["reason"] for row in fleet.quarantined(conn)} == {"impossible_time"}
    assert before is not None
    assert after is not None
    assert after["n"] - before["n"] <= good


def _json(sensor: object, value: str) -> bytes:
    return (
        f'{{"data":[{{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{{"id":{sensor},"value":{value}}}]}}]}}'.encode()
    )
