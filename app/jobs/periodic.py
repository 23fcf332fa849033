"""Jobs that come back at fixed distances, each once a period however many schedulers and workers there are.

The table `jobs` says what is due. The scheduler wakes a worker up for it, as often as it takes, and the worker that
claims the run does it. A claim is a lease, which the run renews: half a minute after its worker has died, the job is
due again.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from threading import Event, Thread

from psycopg.types.json import Jsonb

from app.config import Config
from sql import AWAY, connect, queries

log = logging.getLogger(__name__)

PERIODS = {
    "accounts.purge_accounts": timedelta(hours=24),
    "alerts.check": timedelta(minutes=1),
    "alerts.check_faults": timedelta(minutes=15),
    "archives.watch": timedelta(minutes=5),
    "config_rollouts.watch": timedelta(minutes=1),
    "exports.purge": timedelta(hours=1),
    "exports.watch": timedelta(minutes=1),
    "onboarding.adopt_overtaken": timedelta(minutes=1),
    "onboarding.purge_orphans": timedelta(hours=6),
    "purges.purge_archived": timedelta(hours=1),
    "purges.purge_expired": timedelta(hours=24),
    "recalibrate.work": timedelta(minutes=1),
    "sites.tend": timedelta(minutes=1),
    "uploads.watch": timedelta(minutes=1),
    "upkeep.purge_alerts": timedelta(hours=24),
    "upkeep.purge_arrivals": timedelta(hours=1),
    "upkeep.purge_device_errors": timedelta(hours=6),
    "upkeep.purge_idempotency_keys": timedelta(hours=6),
    "upkeep.purge_quarantine": timedelta(hours=6),
    "webhooks.deliver": timedelta(minutes=1),
}
LEASE_S = 30
_BEAT_S = 10


def run(name: str) -> None:
    """Do a job if it is due and nobody is at it; what a worker calls."""
    database_url = Config.from_env().database_url
    with connect(database_url) as conn:
        number = queries.claim_job(conn, name=name, lease_s=LEASE_S)
    if number is None:
        return
    module, function = name.rsplit(".", 1)
    result = error = None
    try:
        with _kept(database_url, name, number):
            result = getattr(import_module(f"app.jobs.{module}"), function)()
    except Exception as failure:
        log.exception("job failed", extra={"job": name})
        error = f"{type(failure).__name__}: {failure}"
    else:
        if result and any(result.values()):  # most runs find nothing to do; the table of jobs has them all
            log.info("job done", extra={"job": name, **result})
    with connect(database_url) as conn:
        queries.end_job(conn, name=name, run=number, result=Jsonb(result), error=error)


@contextmanager
def _kept(database_url: str, name: str, number: int) -> Iterator[None]:
    """Renew the lease of a run while the block takes."""
    ended = Event()
    beats = Thread(target=_beat, args=[database_url, name, number, ended], daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()


def _beat(database_url: str, name: str, number: int, ended: Event) -> None:
    while not ended.wait(_BEAT_S):
        try:
            with connect(database_url) as conn:
                queries.keep_job(conn, name=name, run=number, lease_s=LEASE_S)
        except AWAY:
            log.warning("the database is away: a lease is not renewed", extra={"job": name})
