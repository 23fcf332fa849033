"""Jobs that come back: scheduled once, by however many workers, and done by a real one."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rq import Queue, SimpleWorker
from rq.registry import ScheduledJobRegistry

from app.jobs.periodic import PERIODS, schedule_all, schedule_next
from app.jobs.queue import open_queue
from sql import DictConnection

NAME = "upkeep.purge_quarantine"


@pytest.fixture
def queue(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """An empty queue, and the environment of a worker."""
    for name, value in {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "SECRET_KEY": "s" * 32}.items():
        monkeypatch.setitem(os.environ, name, value)
    queue = open_queue(redis_url)
    queue.connection.flushdb()
    yield queue
    queue.connection.flushdb()


def scheduled(queue: Queue) -> list[str]:
    return list(ScheduledJobRegistry(queue=queue).get_job_ids())


def test_two_workers_that_start_schedule_each_job_once(queue: Queue) -> None:
    schedule_all(queue)
    schedule_all(queue)

    assert len(scheduled(queue)) == len(PERIODS)


def test_a_run_is_scheduled_for_the_next_full_period(queue: Queue) -> None:
    noon = datetime(2030, 1, 1, 12, 0, 1, tzinfo=UTC)

    schedule_next(queue, NAME, noon)

    (job_id,) = scheduled(queue)
    assert ScheduledJobRegistry(queue=queue).get_scheduled_time(job_id) == noon.replace(hour=18, second=0)


def test_a_worker_does_the_job_and_its_next_run_is_scheduled(queue: Queue, conn: DictConnection) -> None:
    conn.execute(
        "INSERT INTO quarantine (received_at, topic, payload, reason, detail) VALUES (%s, 'old', '', 'unreadable', '')",
        [datetime.now(UTC) - timedelta(days=91)],
    )
    queue.enqueue("app.jobs.periodic.run", NAME)

    SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer).work(burst=True)

    assert conn.execute("SELECT FROM quarantine WHERE topic = 'old'").fetchall() == []
    assert len(scheduled(queue)) == 1
