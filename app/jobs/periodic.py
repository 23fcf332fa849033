"""Jobs that come back at fixed distances, once for the whole platform however many workers there are.

Each run first schedules the next one, under an id that is made of the job and that time: to schedule it again, as a
second worker does when it starts, changes nothing. RQ's scheduler, of which one worker holds the lock, does the rest.
"""

from datetime import UTC, datetime, timedelta
from importlib import import_module

from rq import Queue

from app.config import Config
from app.jobs.queue import open_queue

PERIODS = {
    "accounts.purge_accounts": timedelta(hours=24),
    "archives.watch": timedelta(minutes=5),
    "exports.purge": timedelta(hours=1),
    "exports.watch": timedelta(minutes=1),
    "onboarding.adopt_overtaken": timedelta(minutes=1),
    "onboarding.purge_orphans": timedelta(hours=6),
    "purges.purge_archived": timedelta(hours=1),
    "recalibrate.work": timedelta(minutes=1),
    "uploads.watch": timedelta(minutes=1),
    "upkeep.purge_idempotency_keys": timedelta(hours=6),
    "upkeep.purge_quarantine": timedelta(hours=6),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def schedule_all(queue: Queue) -> None:
    """Make sure that every periodic job has its next run; a worker calls this when it starts."""
    for name in PERIODS:
        schedule_next(queue, name, datetime.now(UTC))


def schedule_next(queue: Queue, name: str, now: datetime) -> None:
    """Schedule the first run after `now`."""
    period = PERIODS[name]
    due = _EPOCH + ((now - _EPOCH) // period + 1) * period
    job_id = f"{name.replace('.', '-')}-{due:%Y%m%dT%H%M%S}"  # RQ's ids know letters, digits, - and _
    queue.enqueue_at(due, "app.jobs.periodic.run", name, job_id=job_id)


def run(name: str) -> None:
    """Do a periodic job; what a worker calls."""
    schedule_next(open_queue(Config.from_env().redis_url), name, datetime.now(UTC))
    module, function = name.rsplit(".", 1)
    getattr(import_module(f"app.jobs.{module}"), function)()
