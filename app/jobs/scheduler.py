"""The scheduler: wakes workers up for what is due, be it a job that comes back or one that RQ is to try again later.

Any number may run; the one that holds the lock in Redis is active. When it dies the lock runs out, and another takes
over within seconds. RQ's own scheduler, a part of a worker, leaves up to ten minutes without one when that worker is
killed; `rq cron` has no lock, and its jobs are pickles.
"""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from redis import RedisError
from redis.exceptions import LockError
from redis.lock import Lock
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job
from rq.registry import clean_registries
from rq.scheduler import RQScheduler

from app.jobs.periodic import LEASE_S, PERIODS
from ingestor.stopping import Stopping
from sql import AWAY, DictConnection, connect, queries

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_LOCK_S = 10.0
_CLEAN_EVERY_S = 15.0
_LONGEST_S = 24 * 3600  # of one run; what hangs is ended then


def schedule(queue: Queue, database_url: str, stopping: Stopping) -> None:
    """Keep the schedule until told to stop, over every outage of the database and of Redis."""
    lock = queue.connection.lock("almanac:scheduler", timeout=_LOCK_S, blocking=False, thread_local=False)
    was_active: bool | None = None
    while not stopping.is_set():
        try:
            with connect(database_url) as conn:
                queries.set_jobs(conn, names=list(PERIODS), periods=list(PERIODS.values()))
                scheduler = Scheduler(queue, conn)
                while not stopping.is_set():
                    is_active = _hold(lock)
                    if is_active != was_active:
                        log.info("active" if is_active else "standing by")
                        was_active = is_active
                    if is_active:
                        scheduler.look()
                    stopping.wait(_LOOK_EVERY_S)
        except (*AWAY, RedisError) as error:
            log.warning("away", extra={"error": str(error).strip(), "next_try_s": _LOOK_EVERY_S})
            stopping.wait(_LOOK_EVERY_S)
    with suppress(LockError, RedisError):
        lock.release()


def _hold(lock: Lock) -> bool:
    """Take the lock, or keep it; whether it is ours now."""
    with suppress(LockError):
        return bool(lock.reacquire())
    return bool(lock.acquire())


class Scheduler:
    """Who has a connection to both, the database and Redis; raises psycopg's errors and RedisError."""

    def __init__(self, queue: Queue, conn: DictConnection) -> None:
        self._queue = queue
        self._conn = conn
        self._delayed = RQScheduler([queue], queue.connection, serializer=queue.serializer)
        self._delayed.prepare_registries([queue.name])
        self._cleaned_at = float("-inf")

    def look(self) -> None:
        """Enqueue what is due, and give up what a worker that died has left behind."""
        for job in queries.due_jobs(self._conn):
            self._wake(job["name"], job["run"])
        self._delayed.enqueue_scheduled_jobs()  # type: ignore[no-untyped-call]
        if time.monotonic() - self._cleaned_at > _CLEAN_EVERY_S:
            clean_registries(self._queue)
            self._cleaned_at = time.monotonic()

    def _wake(self, name: str, number: int) -> None:
        job_id = f"{name.replace('.', '-')}-{number}"  # RQ's ids know letters, digits, - and _
        try:
            self._queue.enqueue(
                "app.jobs.periodic.run",
                name,
                job_id=job_id,
                unique=True,
                description=name,
                job_timeout=_LONGEST_S,
                result_ttl=0,
                failure_ttl=60,
            )
        except DuplicateJobError:
            self._forget_lost(job_id)

    def _forget_lost(self, job_id: str) -> None:
        """A worker that died between taking a job and claiming its run has left its id in our way."""
        with suppress(NoSuchJobError):
            job = Job.fetch(job_id, connection=self._queue.connection, serializer=self._queue.serializer)
            since = job.started_at or job.enqueued_at
            if job.get_position() is None and since and since < datetime.now(UTC) - timedelta(seconds=LEASE_S):
                job.delete()
