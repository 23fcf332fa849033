"""Receive from the broker and acknowledge what has been committed; the broker keeps everything else.

The broker is the durable queue: a message stays there until its batch is in the database. Measured facts this rests
on: un-acknowledged messages come back only after a reconnect; an acknowledgement held over from a lost connection would
confirm another message that now has its number; an exception in a paho callback ends its thread while
`is_connected()` stays true.
"""

import logging
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingestor.client import Client
from ingestor.inbox import Inbox
from ingestor.intake import Message, read_early
from ingestor.mqtt import make_client
from ingestor.packets import Published

log = logging.getLogger(__name__)

TOPICS = (
    "device/sck/+/readings",
    "device/sck/+/readings/raw",
    "device/sck/+/info",
    "device/sck/+/hello",
    "device/sck/+/errors",
    "device/sck/+/config/reported",
    "device/inventory",
)
DEFAULT_GROUP = "almanac"
_SESSION_EXPIRY_S = 0xFFFFFFFF  # never: a session that expires takes its un-acknowledged messages with it
_KEEPALIVE_S = 30
_SILENCE_S = 3.0
_INBOX_BYTES = 8 * 1024 * 1024


class Delivery(NamedTuple):
    """One message, and what it takes to acknowledge it."""

    message: Message
    number: int  # MQTT's packet identifier, meaningful on its own connection only; 0: nobody waits for an answer
    connection: int
    arrived: float  # on the monotonic clock


class Subscriber:
    """A durable subscriber to every device's topics: alone, or as one of a group that shares them.

    Alone is the safer way where one process does: Mosquitto 2.0.11 forgets shared subscriptions when it is restarted,
    and so drops what devices publish before the group is back, a second or so, though it acknowledges it.

    `batch` is how many messages are taken at a time, and bounds what is in our hands: while one batch is written the
    inbox holds two, in 8 MiB, and the broker sends at most these three un-acknowledged. When the inbox is full the
    network thread waits, TCP fills up, and the broker queues.
    """

    def __init__(
        self,
        mqtt_url: str,
        client_id: str,
        batch: int,
        prefixes: Sequence[str] = (),
        group: str = "",
        *,
        retiring: bool = False,
    ) -> None:
        self._client, self._address = make_client(Client, mqtt_url, client_id, "MQTT_URL", manual_ack=True)
        self._topics = [f"{prefix}{topic}" for prefix in ("", *prefixes) for topic in TOPICS]
        self._group = group
        window = min(3 * batch, 65535)  # MQTT's packet identifiers
        self._inbox: Inbox[Delivery] = Inbox(2 * batch, _INBOX_BYTES)
        self._retiring = retiring
        self._stopping = False
        self._is_refused = False
        self._last_arrival = time.monotonic()
        self._connect_properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._connect_properties.SessionExpiryInterval = _SESSION_EXPIRY_S
        self._connect_properties.ReceiveMaximum = window
        self._client.max_inflight_messages_set(window)
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_published = self._on_published

    @property
    def is_connected(self) -> bool:
        """Whether messages can come: there is a connection, and the broker has refused none of the topics on it."""
        connected: bool = self._client.is_connected()
        return connected and not self._is_refused

    @property
    def waiting(self) -> int:
        """How many messages have arrived and are not written yet."""
        return len(self._inbox)

    def start(self) -> None:
        """Connect in a thread of its own, and again whenever the connection is lost."""
        self._client.connect_async(
            *self._address, keepalive=_KEEPALIVE_S, clean_start=False, properties=self._connect_properties
        )
        self._client.loop_start()

    @property
    def is_drained(self) -> bool:
        """Whether nothing has come for some seconds: of a retiring member, that the broker keeps nothing for it."""
        return self.is_connected and not self.waiting and time.monotonic() - self._last_arrival > _SILENCE_S

    def take(self, most: int, seconds: float) -> list[Delivery]:
        """Wait up to `seconds` for a delivery, then gather what comes within `seconds` more, at most `most`."""
        return self._inbox.take(most, seconds)

    def make_room(self) -> None:
        """Let others arrive in the place of those taken; while the taker works they would only be in its way."""
        self._inbox.make_room()

    def acknowledge(self, deliveries: list[Delivery]) -> None:
        """Tell the broker that these are committed; it sends those of a lost connection again instead."""
        self._client.acknowledge((delivery.connection, delivery.number) for delivery in deliveries if delivery.number)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 as soon as there is a connection."""
        self._client.publish(topic, payload, qos=1)

    def stop(self) -> None:
        """Leave; the broker keeps the session, and for it all that is not acknowledged."""
        self._stopping = True
        self._inbox.close()
        properties = None
        if self._retiring:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
        self._client.disconnect(properties=properties)
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            log.error("broker refused the connection", extra={"reason": str(reason)})
            return
        self._last_arrival = time.monotonic()
        self._is_refused = False
        shared = [f"$share/{self._group or DEFAULT_GROUP}/{topic}" for topic in self._topics]
        if self._retiring:
            client.unsubscribe([*shared, *self._topics])
            return
        # The session may be from a time when it was the other way.
        client.unsubscribe(self._topics if self._group else shared)
        # What a device has left retained came when it was published: not once more whenever we connect.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in (shared if self._group else self._topics)])

    def _on_connect_fail(self, client: mqtt.Client, userdata: Any) -> None:
        host, port = self._address
        # paho calls this where it has caught what it does not hand on.
        log.warning("broker cannot be reached", extra={"reason": f"{host}:{port}: {sys.exception()}"})

    def _on_subscribe(self, client: mqtt.Client, userdata: Any, number: int, reasons: Any, properties: Any) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._is_refused = True
            log.error("broker refused subscriptions", extra={"topics": refused})
        else:
            log.info("subscribed", extra={"topics": self._topics, "group": self._group})

    def _on_disconnect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        log.log(logging.INFO if self._stopping else logging.WARNING, "disconnected", extra={"reason": str(reason)})

    def _on_published(self, published: list[Published]) -> None:
        now, connection = time.monotonic(), self._client.connection
        self._last_arrival = now
        self._inbox.put(
            [
                Delivery(read_early(str(topic, "utf-8", "replace"), payload), number, connection, now)
                for topic, payload, number in published
            ]
        )
