"""One ingestor process: from the broker to the hypertable until it is told to stop."""

import gc
import logging
import sys
import time

from ingestor import metrics
from ingestor.bell import Bell
from ingestor.log import configure_logging
from ingestor.probes import Needs, serve
from ingestor.settings import Settings
from ingestor.stopping import Stopping
from ingestor.store import Store
from ingestor.subscriber import Subscriber
from sql import readiness
from sql.readiness import OK

log = logging.getLogger("ingestor")

_NOTE_EVERY_S = 10.0
_OBJECTS_BETWEEN_COLLECTIONS = 100_000  # more than two batches of messages make
_TURN_S = 0.0005


def run(settings: Settings, stopping: Stopping | None = None, *, retire: bool = False) -> None:
    """Run until SIGTERM or SIGINT, or until `stopping` is set; then finish the batch, acknowledge it, and leave.

    `retire`: take no new messages, write those that the broker keeps for this client id, and give the name up.
    """
    configure_logging(settings.log_level)
    stopping = (stopping or Stopping()).on_signals()
    _share_the_processor()
    subscriber = Subscriber(
        settings.mqtt_url,
        settings.client_id,
        settings.batch_messages,
        settings.topic_prefixes,
        settings.group,
        retiring=retire,
    )
    bell = Bell(settings.redis_url)
    store = Store(settings.database_url, stopping, settings.patience_s, subscriber.make_room)
    metrics.watch(lambda: subscriber.waiting, lambda: subscriber.is_connected, lambda: store.away_since)
    if settings.metrics_port:
        needs: Needs = {
            "broker": lambda: OK if subscriber.is_connected else "away, or refuses the subscription",
            "database": lambda: _database(store, settings.database_url),
        }
        serve(settings.metrics_host, settings.metrics_port, needs)

    noted_at = float("-inf")
    subscriber.start()
    while not (stopping.is_set() or (retire and subscriber.is_drained)):
        if subscriber.is_connected and not retire and time.monotonic() - noted_at > _NOTE_EVERY_S:
            store.note_receiver(settings.client_id)
            noted_at = time.monotonic()
        store.tell()
        deliveries = subscriber.take(settings.batch_messages, settings.batch_seconds)
        if not deliveries:
            continue
        receipts = store.put([delivery.message for delivery in deliveries])
        if receipts is not None:
            subscriber.acknowledge(deliveries)
            metrics.COMMIT_LAG.observe(time.monotonic() - deliveries[0].arrived)
            bell.ring()
            for topic, payload in receipts:
                subscriber.publish(topic, payload)
    subscriber.stop()
    # What has arrived and is not acknowledged comes again, but to a name that is given up, and but for QoS 0, which
    # another broker than ours may deliver.
    while rest := subscriber.take(settings.batch_messages, seconds=0):
        if last := [delivery.message for delivery in rest if retire or not delivery.number]:
            store.put(last)
    if retire and not stopping.is_set():
        store.forget_receiver(settings.client_id)
    store.tell(everything=True)
    store.close()
    log.info("stopped")


def _share_the_processor() -> None:
    """Let Python itself stay out of the way.

    What messages are made of refers to nothing that refers back, so looking for cycles among it every 700 objects, a
    quarter of the ingestor's work, finds none. And while one thread reads messages the other, which the database has
    answered a dozen times a batch, would wait ten times as long for its turn.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    sys.setswitchinterval(_TURN_S)


def _database(store: Store, database_url: str) -> str:
    since = store.away_since
    return readiness.database(database_url) if since is None else f"away for {time.monotonic() - since:.0f} s"
