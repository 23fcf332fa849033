"""The ingestor's numbers for Prometheus."""

import time
from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

from ingestor.writer import Ledger

MESSAGES = Counter("almanac_ingest_messages", "Messages written and acknowledged.")
DATAPOINTS = Counter("almanac_ingest_datapoints", "What became of the datapoints received.", ["result"])
REFUSED = Counter(
    "almanac_ingest_refused_batches", "Batches that the database refused, to be written message by message."
)
BATCH_MESSAGES = Histogram(
    "almanac_ingest_batch_messages", "Messages a batch.", buckets=[1, 10, 50, 100, 500, 1000, 2000]
)
BATCH_SECONDS = Histogram("almanac_ingest_batch_seconds", "From the first look at a batch to its commit.")
COMMIT_LAG = Histogram(
    "almanac_ingest_commit_lag_seconds",
    "From the arrival of a batch's oldest message to its commit.",
    buckets=[0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600],
)
DEVICE_LAG = Histogram(
    "almanac_ingest_device_lag_seconds",
    "From the time of a batch's newest reading, by its device's clock, to its commit.",
    buckets=[1, 5, 30, 60, 300, 3600, 86400],
)

for _result in ("stored", "duplicate", "quarantined", "rejected"):
    DATAPOINTS.labels(_result)


def count_datapoints(ledger: Ledger) -> None:
    """Count what became of datapoints, whichever door they came in by."""
    DATAPOINTS.labels("stored").inc(ledger.stored)
    DATAPOINTS.labels("duplicate").inc(ledger.duplicate)
    DATAPOINTS.labels("quarantined").inc(ledger.quarantined)
    DATAPOINTS.labels("rejected").inc(ledger.rejected)


def count(ledger: Ledger, messages: int, seconds: float, newest_us: int | None) -> None:
    """Count a batch that is committed."""
    count_datapoints(ledger)
    MESSAGES.inc(messages)
    BATCH_MESSAGES.observe(messages)
    BATCH_SECONDS.observe(seconds)
    if newest_us is not None:
        DEVICE_LAG.observe(max(0.0, time.time() - newest_us / 1e6))


def watch(waiting: Callable[[], int], connected: Callable[[], bool], away_since: Callable[[], float | None]) -> None:
    """Let gauges ask these whenever somebody looks."""
    Gauge("almanac_ingest_waiting_messages", "Messages that have arrived and are not written yet.").set_function(
        waiting
    )
    Gauge(
        "almanac_ingest_broker_connected", "1 while there is a connection to the broker, and no topic is refused."
    ).set_function(connected)
    Gauge("almanac_ingest_database_away_seconds", "For how long the database has not answered.").set_function(
        lambda: time.monotonic() - (away_since() or time.monotonic())
    )
