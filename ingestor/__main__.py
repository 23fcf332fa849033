"""The ingestor daemon, `python -m ingestor`: from the broker to the hypertable until SIGTERM."""

import logging
import signal
import sys
from threading import Event

from environs import EnvError

from ingestor.log import configure_logging
from ingestor.settings import Settings
from ingestor.store import Store
from ingestor.subscriber import Subscriber

log = logging.getLogger("ingestor")


def main() -> None:
    """Run until SIGTERM or SIGINT; then finish the batch, acknowledge it, and leave."""
    configure_logging()
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = Settings.from_env()
        # Two batches: one is written while the next one arrives.
        subscriber = Subscriber(
            settings.mqtt_url, settings.client_id, 2 * settings.batch_messages, settings.topic_prefixes
        )
    except (EnvError, ValueError) as error:
        sys.exit(f"almanac: {error}")
    store = Store(settings.database_url, stopping, settings.patience_s)

    subscriber.start()
    while not stopping.is_set():
        deliveries = subscriber.take(settings.batch_messages, settings.batch_seconds)
        if not deliveries:
            continue
        receipts = store.put([delivery.message for delivery in deliveries])
        if receipts is not None:
            subscriber.acknowledge(deliveries)
            for topic, payload in receipts:
                subscriber.publish(topic, payload)
    subscriber.stop()
    # What has arrived and is not acknowledged comes again, but for QoS 0, which another broker than ours may deliver.
    while rest := subscriber.take(settings.batch_messages, seconds=0):
        store.put([delivery.message for delivery in rest])
    store.close()
    log.info("stopped")


if __name__ == "__main__":
    main()
