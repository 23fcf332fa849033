"""Jobs that come back: once a period, by however many schedulers and workers, and shown to admins."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import suite_log
import ticking
from caller import Caller
from meanwhile import meanwhile
from rq import Queue
from waiting import wait_for

from app.config import Config
from app.jobs import periodic, upkeep
from app.jobs.periodic import PERIODS, run
from app.jobs.queue import open_queue
from app.jobs.scheduler import Scheduler
from scripts.supervisor import Child, Service
from sql import DictConnection, queries

NAME = "upkeep.purge_quarantine"
Work = Callable[[], None]


@pytest.fixture
def queue(config: Config, work: Work) -> Queue:
    return open_queue(config.redis_url)


@pytest.fixture(autouse=True)
def jobs(conn: DictConnection) -> Iterator[None]:
    """The jobs as a new platform has them: all are due."""
    conn.execute("DELETE FROM jobs")
    queries.set_jobs(conn, names=list(PERIODS), periods=list(PERIODS.values()))
    yield
    conn.execute("DELETE FROM jobs")


def job(conn: DictConnection, name: str = NAME) -> dict[str, Any]:
    return next(row for row in queries.jobs_listed(conn) if row["name"] == name)


def test_what_is_due_is_done_once_however_often_workers_are_woken_up(
    queue: Queue, conn: DictConnection, work: Work
) -> None:
    conn.execute(
        "INSERT INTO quarantine (received_at, topic, payload, reason, detail) VALUES (%s, 'old', '', 'unreadable', '')",
        [datetime.now(UTC) - timedelta(days=91)],
    )
    for scheduler in (Scheduler(queue, conn), Scheduler(queue, conn)):
        scheduler.look()
    queue.enqueue("app.jobs.periodic.run", NAME)  # and once more

    work()

    runs = conn.execute("SELECT name, run FROM jobs WHERE done_by = 'worker' ORDER BY name").fetchall()
    assert runs == [{"name": name, "run": 1} for name in sorted(PERIODS)]
    assert (job(conn)["state"], job(conn)["result"]) == ("succeeded", {"rows": 1})


def test_the_next_run_is_due_when_the_next_full_period_begins(worker_env: dict[str, str], conn: DictConnection) -> None:
    run(NAME)

    shown = job(conn)
    assert shown["next_run_at"].timestamp() % timedelta(hours=6).total_seconds() == 0
    assert timedelta(0) < shown["next_run_at"] - shown["started_at"] <= timedelta(hours=6)


def test_a_run_that_found_something_to_do_is_in_the_log_and_one_that_did_not_is_in_the_list_alone(
    worker_env: dict[str, str], conn: DictConnection, caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> list[str]:
        return [record.message for record in caplog.records if record.name == "app.jobs.periodic"]

    caplog.set_level("INFO", "app.jobs.periodic")
    run(NAME)
    assert (job(conn)["result"], logged()) == ({"rows": 0}, [])

    conn.execute("DELETE FROM jobs")
    queries.set_jobs(conn, names=[NAME], periods=[PERIODS[NAME]])
    conn.execute(
        "INSERT INTO quarantine (received_at, topic, payload, reason, detail) VALUES (%s, 'old', '', 'unreadable', '')",
        [datetime.now(UTC) - timedelta(days=91)],
    )
    run(NAME)
    assert (job(conn)["result"], logged()) == ({"rows": 1}, ["job done"])


def test_a_job_that_a_worker_is_at_is_left_to_it(
    worker_env: dict[str, str], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = []

    def look() -> None:
        run(NAME)  # another worker
        numbers.append(conn.execute("SELECT run FROM jobs WHERE name = %s", [NAME]).fetchone())

    meanwhile(monkeypatch, upkeep, "purge_quarantine", look)
    run(NAME)

    assert numbers == [{"run": 1}]


def test_a_run_that_takes_longer_than_a_lease_is_still_its_workers(
    worker_env: dict[str, str], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leased_until() -> datetime:
        row = conn.execute("SELECT leased_until FROM jobs WHERE name = %s", [NAME]).fetchone()
        assert row is not None
        return datetime.fromisoformat(str(row["leased_until"]))

    def take_long() -> None:
        begun = leased_until()
        wait_for(lambda: leased_until() > begun)

    monkeypatch.setattr(periodic, "_BEAT_S", 0.02)
    meanwhile(monkeypatch, upkeep, "purge_quarantine", take_long)
    run(NAME)

    assert job(conn)["state"] == "succeeded"


def test_a_worker_that_was_taken_for_dead_neither_keeps_nor_ends_the_run_of_the_next_one(
    worker_env: dict[str, str], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_takes_it_and_dies() -> None:
        conn.execute("UPDATE jobs SET leased_until = now() - INTERVAL '1 s' WHERE name = %s", [NAME])
        queries.claim_job(conn, name=NAME, lease_s=0)
        time.sleep(0.2)  # some beats of the first one

    monkeypatch.setattr(periodic, "_BEAT_S", 0.02)
    meanwhile(monkeypatch, upkeep, "purge_quarantine", another_takes_it_and_dies)
    run(NAME)
    assert job(conn)["state"] == "cut off"

    run(NAME)
    assert job(conn)["state"] == "succeeded"


def test_a_job_that_is_asked_for_while_it_runs_is_done_once_more(
    worker_env: dict[str, str], conn: DictConnection, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, upkeep, "purge_quarantine", lambda: admin.post(f"/v0/admin/jobs/{NAME}/run"))
    for _ in range(3):
        run(NAME)

    assert conn.execute("SELECT run FROM jobs WHERE name = %s", [NAME]).fetchone() == {"run": 2}


def test_jobs_that_there_are_no_more_go_and_those_that_others_do_are_left_to_them(
    queue: Queue, conn: DictConnection, work: Work, admin: Caller
) -> None:
    conn.execute("INSERT INTO jobs (name, done_by, period) VALUES ('old.job', 'worker', '1 min')")
    theirs = {"name": "broker.stock", "done_by": "broker keeper", "period": timedelta(minutes=5)}
    queries.note_job(conn, **theirs, started_at=datetime.now(UTC), result=None, error=None)
    queries.ask_for_job(conn, name=theirs["name"])
    queries.set_jobs(conn, names=list(PERIODS), periods=list(PERIODS.values()))
    Scheduler(queue, conn).look()
    work()

    states = {job["name"]: job["state"] for job in admin.get("/v0/admin/jobs").json}
    assert "old.job" not in states
    assert states["broker.stock"] == "succeeded"


def test_a_queue_that_is_lost_costs_nothing(queue: Queue, conn: DictConnection, work: Work) -> None:
    Scheduler(queue, conn).look()
    queue.connection.flushdb()

    Scheduler(queue, conn).look()
    work()

    assert job(conn)["state"] == "succeeded"


def test_a_failed_job_is_shown_with_its_reason_and_an_admin_has_it_done_again(
    queue: Queue, conn: DictConnection, work: Work, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(upkeep, "purge_quarantine", fail)
        Scheduler(queue, conn).look()
        work()
    (shown,) = (job for job in admin.get("/v0/admin/jobs").json if job["name"] == NAME)
    assert (shown["state"], shown["error"]) == ("failed", "OSError: the disk is full")

    assert admin.post(f"/v0/admin/jobs/{NAME}/run").status_code == 202
    Scheduler(queue, conn).look()
    work()

    (shown,) = (job for job in admin.get("/v0/admin/jobs").json if job["name"] == NAME)
    assert (shown["state"], shown["error"], shown["done_by"], shown["period"]) == ("succeeded", None, "worker", 21600)
    assert shown["duration"] >= 0


def test_the_jobs_of_the_database_are_among_them_and_can_be_asked_for(admin: Caller, conn: DictConnection) -> None:
    name = "database.convert_rollups_to_columnstore"
    runs = "SELECT total_runs FROM timescaledb_information.job_stats JOIN timescaledb_information.jobs USING (job_id)"

    def total() -> int:
        row = conn.execute(f"{runs} WHERE proc_name = 'convert_rollups_to_columnstore'".encode()).fetchone()
        return int(row["total_runs"]) if row else 0

    wait_for(total)  # its first, which is due from the start
    before = total()
    assert admin.post(f"/v0/admin/jobs/{name}/run").status_code == 202

    wait_for(lambda: total() > before)
    shown = {job["name"]: job for job in admin.get("/v0/admin/jobs").json}
    assert shown[name]["state"] != "waiting"
    assert (shown["database.refresh_rollups"]["done_by"], shown["database.refresh_rollups"]["period"]) == (
        "database",
        60,
    )


def test_a_job_that_is_not_there_cannot_be_asked_for(admin: Caller) -> None:
    assert admin.post("/v0/admin/jobs/nothing.at_all/run").status_code == 404


def ticking_process(env: dict[str, str], command: str, says: str) -> Child:
    start = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import ticking; ticking.patch()"
    program = [sys.executable, "-c", f"{start}; from app.cli import almanac; almanac()", command]
    return Child(Service(command, program, env, says=says), suite_log.lines.append)


@pytest.fixture
def ticks(conn: DictConnection) -> Iterator[None]:
    """The tables of the job that ticks."""
    for statement in ticking.TABLES.strip().split("\n"):
        conn.execute(statement.encode())
    yield
    conn.execute("DROP TABLE ticks, held_ticks")


def test_two_schedulers_and_three_workers_of_which_the_busy_ones_are_killed_do_a_job_once_a_period(
    ticks: None, worker_env: dict[str, str], conn: DictConnection, queue: Queue
) -> None:
    conn.execute("DELETE FROM jobs")

    def ended() -> int:
        return len(conn.execute("SELECT FROM ticks WHERE ended_at IS NOT NULL").fetchall())

    with ExitStack() as stack:

        def start(command: str, says: str) -> Child:
            child = ticking_process(worker_env, command, says)
            child.start()
            stack.callback(child.stop)
            child.wait_until_ready()
            return child

        active = start("schedule", '"event":"active"')
        start("schedule", '"event":"standing by"')
        for _ in range(3):
            start("worker", '"event":"working"')
        wait_for(ended)

        conn.execute("INSERT INTO held_ticks VALUES (1)")
        wait_for(lambda: conn.execute("SELECT 1 FROM ticks WHERE ended_at IS NULL").fetchone())
        busy = conn.execute("SELECT pid FROM ticks WHERE ended_at IS NULL").fetchone()
        assert busy is not None
        os.killpg(active.pid, signal.SIGKILL)
        os.killpg(busy["pid"], signal.SIGKILL)
        conn.execute("DELETE FROM held_ticks")
        before = ended()
        wait_for(lambda: ended() >= before + 3)

    a_period = conn.execute(
        """
        SELECT count(*) AS runs FROM ticks WHERE ended_at IS NOT NULL
        GROUP BY date_bin(make_interval(secs => %s), at, 'epoch')
        """,
        [ticking.PERIOD_S],
    ).fetchall()
    assert {row["runs"] for row in a_period} == {1}
