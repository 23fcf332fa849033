"""Redos of history: killed, cancelled, beside writers and in the columnstore, they end as a fresh computation would."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from caller import Caller
from readings import receive, stored
from waiting import wait_for

from app import recalibration
from app.jobs.recalibrate import work as recalibrate
from ingestor.versions import Versions
from sql import DictConnection, connect, queries

START = datetime(2025, 3, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)
T, H = 55, 56  # of kit 26: keys t and h
SLICE = 400
COMPENSATED = "ln(raw + 10) * 8 - h / 7"

# A worker as it is, but with short slices, slow enough to be killed within one, and soon taken for dead.
WORKER = """
import time
from app import recalibration
from app.jobs import recalibrate
recalibration.SLICE = 50
recalibrate.LEASE_S = 0.5
compute = recalibration.compute
recalibration.compute = lambda *given, **named: (time.sleep(0.05), compute(*given, **named))[1]
while True:  # as every minute
    recalibrate.work()
    time.sleep(0.1)
"""


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device(kit_id=26)


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalibration, "SLICE", SLICE)


@pytest.fixture
def start_worker(worker_env: dict[str, str]) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts the redo's job in a process of its own, which may be killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", WORKER], env={**os.environ, **worker_env}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def readings(first: int, last: int, shift: float = 0) -> dict[str, Any]:
    """What sensors T and H send at steps first to last: of other numbers with another shift."""
    steps = range(first, last)
    return {
        "s55": [(START + n * STEP, 15 + (n * 7919 % 1000) / 50 + shift) for n in steps],
        "s56": [(START + n * STEP, 40 + (n * 104729 % 1000) / 25 + shift) for n in steps if n % 11],
    }


def add(caller: Caller, device_id: int, equation: str = COMPENSATED, sensor_id: int = T) -> dict[str, Any]:
    asked = {"sensor_id": sensor_id, "equation": equation, "valid_from": "2000-01-01"}
    answer = caller.post(f"/v0/devices/{device_id}/calibrations", asked)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json
    return added


def redos(caller: Caller, device_id: int) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = caller.get(f"/v0/recalibrations?device_id={device_id}").json
    return listed


def refresh_rollups(conn: DictConnection) -> None:
    while True:
        conn.execute("CALL refresh_rollups()")
        if conn.execute("SELECT FROM rollup_dirty").fetchone() is None:
            return


def to_columnstore(conn: DictConnection, start: datetime, end: datetime) -> None:
    """Convert what lies between two times, as the policy does after a week."""
    chunks = conn.execute(
        "SELECT format('%%I.%%I', chunk_schema, chunk_name) AS chunk FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'datapoints' AND range_start < %s AND range_end > %s",
        [end, start],
    )
    for row in chunks.fetchall():
        conn.execute("CALL convert_to_columnstore(%s::regclass)", [row["chunk"]])


def assert_same(rows: list[Any], others: list[Any]) -> None:
    """Compare rows; the last digits of sums depend on the order in which the database happens to add."""
    assert len(rows) == len(others)
    for item, other in zip(chain.from_iterable(rows), chain.from_iterable(others), strict=True):
        assert item == other or math.isclose(item, other, rel_tol=1e-9, abs_tol=1e-9)


def history(caller: Caller, device_id: int) -> list[Any]:
    """What people see: buckets of several sizes, by all functions."""
    span = {"from": "2025-03-01", "to": "2025-06-01"}
    functions = "avg,min,max,sum,count,dev,first,last"
    return [
        row
        for rollup in ("15m", "1h", "1d", "1M")
        for row in caller.history(device_id, T, **span, rollup=rollup, function=functions)
    ]


def aggregated(conn: DictConnection, device_id: int) -> list[tuple[Any, ...]]:
    """The buckets as the continuous aggregates hold them."""
    tables = ("datapoints_15m", "datapoints_1h", "datapoints_1d")
    return [
        tuple(row.values())
        for table in tables
        for row in conn.execute(
            f"SELECT bucket, n, sum, m2, min, max, first, last FROM {table}"
            " WHERE device_id = %s AND sensor_id = 55 ORDER BY bucket".encode(),
            [device_id],
        )
    ]


def test_a_redo_killed_three_times_while_readings_come_in_ends_as_a_fresh_computation(
    user: Caller, conn: DictConnection, start_worker: Callable[[], subprocess.Popen[bytes]]
) -> None:
    def meanwhile(turn: int, device_id: int) -> None:
        """Readings that are there already, with other numbers, and new ones: behind, before and after the redo."""
        receive(conn, device_id, **readings(100 * turn, 100 * turn + 50, shift=0.5))
        receive(conn, device_id, **readings(1400 + turn, 1410 + turn, shift=1.5))
        receive(conn, device_id, **readings(1600 + 10 * turn, 1610 + 10 * turn))

    redone, fresh = user.register_device(kit_id=26), user.register_device(kit_id=26)
    receive(conn, redone["id"], **readings(0, 1600))
    to_columnstore(conn, START, START + 800 * STEP)
    refresh_rollups(conn)
    added, came = add(user, redone["id"]), 0
    assert added["recalibrations"] == 1

    for turn in range(3):
        worker = start_worker()
        wait_for(lambda came=came: redos(user, redone["id"])[0]["computed"] > came)
        meanwhile(turn, redone["id"])
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        came = redos(user, redone["id"])[0]["computed"]
        assert came < 1600
    start_worker()
    wait_for(lambda: redos(user, redone["id"])[0]["state"] == "done", 60)
    redo = redos(user, redone["id"])[0]

    add(user, fresh["id"])
    receive(conn, fresh["id"], **readings(0, 1600))
    for turn in range(3):
        meanwhile(turn, fresh["id"])
    assert (redo["progress"], redo["computed"]) == (1.0, 1600)
    assert [row[:3] for row in stored(conn, redone["id"], T)] == [row[:3] for row in stored(conn, fresh["id"], T)]
    assert {row[3] for row in stored(conn, redone["id"], T)} == {added["id"]}
    assert_same(history(user, redone["id"]), history(user, fresh["id"]))
    refresh_rollups(conn)
    assert_same(history(user, redone["id"]), history(user, fresh["id"]))
    assert_same(aggregated(conn, redone["id"]), aggregated(conn, fresh["id"]))
    latest = [user.get(f"/v0/devices/{d['id']}").json["data"]["sensors"] for d in (redone, fresh)]
    shown = [[(s["value"], s["prev_value"]) for s in sensors if s["id"] == T] for sensors in latest]
    assert shown[0] == shown[1]


@pytest.mark.usefixtures("short_slices", "worker_env")
@pytest.mark.parametrize("columnstore", [False, True], ids=["row store", "columnstore"])
def test_between_two_slices_every_answer_is_right(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch, columnstore: bool
) -> None:
    receive(conn, device["id"], s55=[(START + n * STEP, 1) for n in range(3 * SLICE)])
    if columnstore:
        to_columnstore(conn, START, START + 3 * SLICE * STEP)
    refresh_rollups(conn)
    sums = []
    do_slice = recalibration.do_slice

    def look(conn: DictConnection, redo: dict[str, Any], *more: Any) -> Any:
        span = {"from": "2025-03-01", "to": "2025-06-01", "rollup": "1y", "function": "sum,count"}
        sums.append(user.history(device["id"], T, **span)[0][1:])
        return do_slice(conn, redo, *more)

    monkeypatch.setattr("app.jobs.recalibrate.do_slice", look)
    add(user, device["id"], "raw * 2")
    recalibrate()

    assert sums == [[n * SLICE, 3 * SLICE] for n in (3, 4, 5, 6)]


@pytest.mark.usefixtures("short_slices", "worker_env")
def test_a_cancelled_redo_stops_after_its_slice_and_can_be_asked_for_again(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(conn, device["id"], s55=[(START + n * STEP, 1) for n in range(3 * SLICE)])
    do_slice = recalibration.do_slice

    def cancel_then(conn: DictConnection, redo: dict[str, Any], *more: Any) -> Any:
        if redo["done_until"] > START:
            assert user.delete(f"/v0/recalibrations/{redo['id']}").json["state"] == "cancelled"
        return do_slice(conn, redo, *more)

    monkeypatch.setattr("app.jobs.recalibrate.do_slice", cancel_then)
    add(user, device["id"], "raw * 2")
    recalibrate()

    assert [row[2] for row in stored(conn, device["id"], T)] == [2] * SLICE + [1] * 2 * SLICE
    assert [(redo["state"], redo["computed"]) for redo in redos(user, device["id"])] == [("cancelled", SLICE)]
    monkeypatch.setattr("app.jobs.recalibrate.do_slice", do_slice)
    asked = user.post("/v0/recalibrations", {"device_id": device["id"], "sensor_id": T})
    recalibrate()

    assert asked.status_code == 201, asked.text
    assert [row[2] for row in stored(conn, device["id"], T)] == [2] * 3 * SLICE
    shown = user.get(f"/v0/recalibrations/{asked.json['id']}").json
    assert (shown["state"], shown["computed"], shown["changed"]) == ("done", 3 * SLICE, 2 * SLICE)


@pytest.mark.parametrize(
    ("between", "redone"),
    [({}, [0, 1, 2, 3]), ({"from": 1}, [1, 2, 3]), ({"to": 3}, [0, 1, 2]), ({"from": 1, "to": 2}, [1])],
    ids=["all", "from", "to", "between"],
)
def test_a_redo_that_is_asked_for_is_of_one_component_and_of_the_time_that_is_named(
    user: Caller,
    device: dict[str, Any],
    conn: DictConnection,
    work: Callable[[], None],
    between: dict[str, int],
    redone: list[int],
) -> None:
    steps = [(START + n * STEP, 1.0) for n in range(4)]
    receive(conn, device["id"], s55=steps, s56=steps)
    conn.execute("UPDATE datapoints SET value = 7 WHERE device_id = %s", [device["id"]])
    times = {name: (START + n * STEP).isoformat() for name, n in between.items()}

    asked = user.post("/v0/recalibrations", {"device_id": device["id"], "sensor_id": H, **times})
    work()

    assert asked.status_code == 201, asked.text
    values = [value for _, _, value, _ in stored(conn, device["id"], H)]
    assert [n for n, value in enumerate(values) if value != 7] == redone
    assert {value for _, _, value, _ in stored(conn, device["id"], T)} == {7}


def test_a_component_without_readings_has_nothing_to_redo(user: Caller, device: dict[str, Any]) -> None:
    answer = user.post("/v0/recalibrations", {"device_id": device["id"], "sensor_id": T})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["sensor_id"])


def test_a_cancelled_redo_that_waited_never_begins(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    receive(conn, device["id"], s55=[(START, 1)])
    add(user, device["id"], "raw * 2")

    user.delete(f"/v0/recalibrations/{redos(user, device['id'])[0]['id']}")
    work()

    assert [row[2] for row in stored(conn, device["id"], T)] == [1]


def test_of_two_redos_of_a_component_the_second_waits(
    user: Caller, device: dict[str, Any], conn: DictConnection, database_url: str, work: Callable[[], None]
) -> None:
    work()  # what other tests left
    receive(conn, device["id"], **readings(0, 10))
    for sensor_id, factor in ((T, 2), (T, 3), (H, 4)):
        add(user, device["id"], f"raw * {factor}", sensor_id)

    with connect(database_url) as other:
        taken = [queries.take_recalibration(worker, lease_s=60) for worker in (conn, other, conn)]

    assert [redo and redo["sensor_id"] for redo in taken] == [T, H, None]
    conn.execute("UPDATE recalibrations SET leased_until = now() WHERE state = 'running'")
    work()
    assert [redo["state"] for redo in redos(user, device["id"])] == ["done"] * 3
    assert [row[2] for row in stored(conn, device["id"], T)] == [3 * raw for _, raw in readings(0, 10)["s55"]]


@pytest.mark.usefixtures("short_slices")
def test_another_worker_that_goes_on_at_the_same_time_counts_a_slice_once(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    work()  # what other tests left
    receive(conn, device["id"], s55=[(START + n * STEP, 1) for n in range(3 * SLICE)])
    add(user, device["id"], "raw * 2")
    slow, quick = (queries.take_recalibration(conn, lease_s=0) for _ in range(2))
    assert recalibration.do_slice(conn, quick, 0, Versions())

    with pytest.raises(recalibration.TakenError):
        recalibration.do_slice(conn, slow, 0, Versions())
    work()
    (redo,) = redos(user, device["id"])
    assert (redo["state"], redo["computed"]) == ("done", 3 * SLICE)


def test_a_redo_reaches_the_latest_values(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    receive(conn, device["id"], s55=[(START, 1), (START + STEP, 5)])
    add(user, device["id"], "raw * 2")

    work()

    shown = user.get(f"/v0/devices/{device['id']}").json["data"]["sensors"]
    assert [(each["value"], each["prev_value"]) for each in shown if each["id"] == T] == [(10, 2)]


def test_a_redo_that_changes_nothing_leaves_answers_as_they_are(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None]
) -> None:
    receive(conn, device["id"], s55=[(START, 1)])
    address = f"/v0/devices/{device['id']}/readings?sensor_id={T}&rollup=1h&from=2025-03-01&to=2025-03-02"
    etag = user.get(address).headers["ETag"]

    user.post("/v0/recalibrations", {"device_id": device["id"], "sensor_id": T})
    work()

    assert [(redo["state"], redo["changed"]) for redo in redos(user, device["id"])] == [("done", 0)]
    assert user.get(address, headers={"If-None-Match": etag}).status_code == 304


def test_a_redo_that_fails_says_why(
    user: Caller,
    device: dict[str, Any],
    conn: DictConnection,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[], None],
) -> None:
    receive(conn, device["id"], s55=[(START, 1)])
    added = add(user, device["id"], "raw * 2")
    conn.execute("UPDATE calibrations SET equation = 'raw *' WHERE id = %s", [added["id"]])

    work()

    conn.execute("UPDATE calibrations SET equation = 'raw * 2' WHERE id = %s", [added["id"]])
    (redo,) = redos(user, device["id"])
    assert (redo["state"], redo["error"]) == (
        "failed",
        "EquationError: at character 6: not an equation: invalid syntax",
    )


def test_people_see_the_redos_of_their_own_devices(
    user: Caller, new_user: Callable[..., Caller], device: dict[str, Any], conn: DictConnection
) -> None:
    receive(conn, device["id"], s55=[(START, 1)])
    add(user, device["id"], "raw * 2")

    assert len(redos(user, device["id"])) == 1
    assert redos(new_user(), device["id"]) == []
