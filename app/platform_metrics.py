"""Numbers of the platform that are no process's own: its jobs, in Redis, and its database. The scheduler answers them.

Asked for when Prometheus asks. While one of the two is away its numbers are missing, and it is said to be away.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import RedisError
from rq import Queue, Worker

from app.jobs.queue import ping
from sql import connect, queries
from sql.readiness import OK

_GAUGES = {
    "almanac_rollup_lag_seconds": ("rollup_lag_seconds", "How far the aggregates are behind the clock."),
    "almanac_rollup_dirty_days": ("dirty_days", "Days of devices with late data that are not refreshed yet."),
    "almanac_devices": ("devices", "Devices that are not archived."),
    "almanac_devices_heard": ("devices_heard", "Those of them whose newest reading is of the last hour."),
    "almanac_database_bytes": ("bytes", "Size of the database."),
    "almanac_database_longest_transaction_seconds": (
        "longest_transaction_seconds",
        "Age of the oldest open transaction.",
    ),
}
_COUNTERS = {
    "almanac_database_commits": ("commits", "Transactions committed."),
    "almanac_database_rollbacks": ("rollbacks", "Transactions rolled back."),
    "almanac_database_deadlocks": ("deadlocks", "Deadlocks."),
    "almanac_database_blocks_hit": ("blks_hit", "Blocks found in the server's memory."),
    "almanac_database_blocks_read": ("blks_read", "Blocks that were not."),
}


class JobsInRedis(Collector):
    """How many jobs are in which state, and how many workers there are."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask Redis."""
        answers = ping(self._queue) == OK
        yield GaugeMetricFamily("almanac_redis_answers", "1 while Redis answers.", answers)
        if not answers:
            return
        jobs = GaugeMetricFamily("almanac_jobs", "Background jobs by state.", labels=["queue", "state"])
        workers = GaugeMetricFamily("almanac_workers", "Workers by state.", labels=["state"])
        try:
            jobs.add_metric([self._queue.name, "queued"], self._queue.count)
            for state in ("started", "scheduled", "deferred", "failed"):
                jobs.add_metric([self._queue.name, state], getattr(self._queue, f"{state}_job_registry").count)
            states = [worker.get_state() for worker in Worker.all(queue=self._queue)]
        except RedisError:
            return
        for state in ("busy", "idle"):
            workers.add_metric([state], states.count(state))
        yield from (jobs, workers)


class Database(Collector):
    """What PostgreSQL and our own tables say of themselves."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Ask the database, on a connection of its own."""
        try:
            with connect(self._database_url, patience_s=5) as conn:
                numbers = queries.watched_numbers(conn)
                labelled = [
                    _by("almanac_database_connections", "Connections.", queries.watched_connections(conn), "state"),
                    _by("almanac_quarantine_last_hour", "Not stored.", queries.watched_quarantine(conn), "reason"),
                    *_jobs(queries.watched_jobs(conn)),
                    *_sites(queries.site_lags(conn)),
                ]
        except psycopg.Error:
            yield GaugeMetricFamily("almanac_database_answers", "1 while the database answers.", 0)
            return
        yield GaugeMetricFamily("almanac_database_answers", "1 while the database answers.", 1)
        for name, (column, meaning) in _GAUGES.items():
            yield GaugeMetricFamily(name, meaning, numbers[column])
        for name, (column, meaning) in _COUNTERS.items():
            yield CounterMetricFamily(name, meaning, numbers[column])
        yield from labelled


def _by(name: str, meaning: str, rows: list[Mapping[str, Any]], label: str) -> GaugeMetricFamily:
    """Make a gauge of rows of two columns: the label's, and a number."""
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for row in rows:
        (number,) = (value for column, value in row.items() if column != label)
        family.add_metric([row[label]], number)
    return family


def _jobs(rows: list[Mapping[str, Any]]) -> Iterator[GaugeMetricFamily]:
    overdue = GaugeMetricFamily(
        "almanac_job_overdue_seconds", "How late a job that comes back is.", labels=["job_name"]
    )
    failed = GaugeMetricFamily("almanac_job_failed", "1 where the last run of a job failed.", labels=["job_name"])
    for row in rows:
        overdue.add_metric([row["name"]], row["overdue_seconds"])
        failed.add_metric([row["name"]], row["failed"])
    yield from (overdue, failed)


def _sites(rows: list[Mapping[str, Any]]) -> Iterator[GaugeMetricFamily]:
    seconds = GaugeMetricFamily(
        "almanac_site_lag_seconds", "Age of the oldest write that a site lacks.", labels=["site"]
    )
    size = GaugeMetricFamily("almanac_site_lag_bytes", "How much of the log a site lacks.", labels=["site"])
    lost = GaugeMetricFamily("almanac_site_lost", "1 where a site was away for too long.", labels=["site"])
    for row in rows:
        seconds.add_metric([str(row["id"])], row["seconds"])
        size.add_metric([str(row["id"])], row["bytes"])
        lost.add_metric([str(row["id"])], row["lost"])
    yield from (seconds, size, lost)
