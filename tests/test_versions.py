"""What a long-lived ingestor remembers of calibrations: it follows every change, and no batch slips past one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from caller import Caller
from readings import receive, stored

from app import recalibration
from ingestor.known import Known
from sql import DictConnection, connect, queries

T0 = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
T, H = 55, 56  # of kit 26: keys t and h
LONG_S = 1.0  # what has not happened by then waits for a lock


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device(kit_id=26)


def add(caller: Caller, device_id: int, equation: str) -> None:
    asked = {"sensor_id": T, "equation": equation, "valid_from": "2000-01-01"}
    answer = caller.post(f"/v0/devices/{device_id}/calibrations", asked)
    assert answer.status_code == 201, answer.text


def values(conn: DictConnection, device_id: int) -> list[float]:
    return [row[2] for row in stored(conn, device_id, T)]


def test_a_version_is_used_by_a_writer_that_knew_none_and_the_next_by_one_that_knew_it(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    known = Known()
    for minute, equation in enumerate(("raw", "raw * 2", "raw * 3")):
        add(user, device["id"], equation)
        receive(conn, device["id"], known, s55=[(T0 + minute * MINUTE, 1)])

    assert values(conn, device["id"]) == [1, 2, 3]


def test_a_writer_that_knows_all_asks_nothing(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Known()
    add(user, device["id"], "raw - h")
    receive(conn, device["id"], known, s55=[(T0, 5)], s56=[(T0, 1)])
    for query in ("wide_calibrations", "calibrations_of_devices", "kits_of_devices", "sensors_of_keys"):
        monkeypatch.setattr(queries, query, mock.Mock(side_effect=AssertionError(query)))

    receive(conn, device["id"], known, s55=[(T0 + MINUTE, 6)], s56=[(T0 + MINUTE, 1)])

    assert values(conn, device["id"]) == [4, 5]


def test_a_component_that_an_equation_waited_for_is_found_by_a_writer_that_looked_before(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    known = Known()
    conn.execute("DELETE FROM components WHERE device_id = %s AND sensor_id = %s", [device["id"], H])
    with conn.transaction():
        conn.execute(
            "INSERT INTO calibrations (sensor_id, device_id, valid_from, equation, inputs)"
            " VALUES (%s, %s, '2000-01-01', 'raw - h', '{h}')",
            [T, device["id"]],
        )
    receive(conn, device["id"], known, s55=[(T0, 5)])
    receive(conn, device["id"], known, s56=[(T0, 2)])

    assert values(conn, device["id"]) == [3]


def test_a_writer_hears_that_a_device_has_another_kit_and_that_versions_are_gone(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    known = Known()
    kit_id = queries.insert_kit(conn, slug="doubling", name="Doubling", description="", owner_id=None)
    conn.execute(
        "INSERT INTO calibrations (sensor_id, kit_id, valid_from, equation) VALUES (%s, %s, '2000-01-01', 'raw * 2')",
        [T, kit_id],
    )

    receive(conn, device["id"], known, s55=[(T0, 1)])
    conn.execute("UPDATE devices SET kit_id = %s WHERE id = %s", [kit_id, device["id"]])
    receive(conn, device["id"], known, s55=[(T0 + MINUTE, 1)])
    conn.execute("DELETE FROM calibrations WHERE kit_id = %s", [kit_id])
    receive(conn, device["id"], known, s55=[(T0 + 2 * MINUTE, 1)])

    assert values(conn, device["id"]) == [1, 2, 1]


def test_what_a_batch_that_failed_had_looked_up_is_forgotten(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    """The key of a component that the batch had made goes to another one afterwards."""
    known = Known()
    add(user, device["id"], "raw - h")
    receive(conn, device["id"], known, s55=[(T0, 5)])
    conn.execute("DELETE FROM components WHERE device_id = %s AND sensor_id = %s", [device["id"], H])
    with mock.patch("ingestor.writer._keep_the_rest", side_effect=OSError), pytest.raises(OSError):  # noqa: PT011
        receive(conn, device["id"], known, s56=[(T0, 1)])
    conn.execute("INSERT INTO components (device_id, sensor_id, key) VALUES (%s, 79, 'h')", [device["id"]])

    receive(conn, device["id"], known, s55=[(T0 + MINUTE, 5)], s79=[(T0 + MINUTE, 2)])

    assert values(conn, device["id"])[1] == 3


def test_a_version_that_is_added_while_a_batch_is_written_reaches_the_batch(
    user: Caller, device: dict[str, Any], conn: DictConnection, database_url: str, work: Callable[[], None]
) -> None:
    with connect(database_url) as writing, ThreadPoolExecutor(1) as beside:
        with writing.transaction():
            receive(writing, device["id"], s55=[(T0, 1)])
            adding = beside.submit(add, user, device["id"], "raw * 2")
            wait([adding], LONG_S)  # for ever, but for us
        adding.result()
    work()

    assert values(conn, device["id"]) == [2]


@pytest.mark.usefixtures("worker_env")
def test_a_reading_that_is_corrected_while_its_slice_is_computed_keeps_its_own_value(
    user: Caller,
    device: dict[str, Any],
    conn: DictConnection,
    database_url: str,
    work: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive(conn, device["id"], s55=[(T0, 1)])
    add(user, device["id"], "raw * 2")
    compute = recalibration.compute
    with ThreadPoolExecutor(1) as beside, connect(database_url) as writing:
        corrections = []

        def correct_then(*given: Any, **named: Any) -> Any:
            corrections.append(beside.submit(receive, writing, device["id"], s55=[(T0, 5)]))
            wait(corrections, LONG_S)
            return compute(*given, **named)

        monkeypatch.setattr(recalibration, "compute", correct_then)
        work()
        for correction in corrections:
            correction.result()

    assert [row[1:3] for row in stored(conn, device["id"], T)] == [(5, 10)]
