"""Forward what researchers' devices send, over MQTT, and tell other programs through Redis what has happened.

Topic and payload are the contract's: `/forward/<token>/device/<id>/readings` holds the device as version 1 of the wire
has it, with its new readings, as everybody may know it: no address, no token, no exact place. The broker lets each
token read below its own topic alone. On Redis channels: `data-received` names a device that has sent something,
`token-received` the onboarding session whose device has spoken.

The follower's place stands in the database, and moves once the broker has confirmed what came before. So nothing is
left out, and after a crash something may come twice. Run one.
"""

import logging
import time
from threading import Event
from typing import Any

import orjson
import paho.mqtt.client as mqtt
from redis import Redis, RedisError

from app.api.respond import to_json
from app.broker.connection import BrokerError, Connection
from app.config import Config
from app.device_records import read_devices
from app.live.journal import Page, Part, read_page
from app.live.position import Snapshot
from app.policy import NOBODY
from app.sealing import unseal
from app.wire.devices_v1 import device_v1_json
from ingestor.bell import STREAM
from ingestor.mqtt import make_client
from ingestor.stopping import Stopping
from ingestor.times import from_us
from sql import AWAY, DictConnection, Row, connect, queries

log = logging.getLogger(__name__)

DATA, TOKEN = "data-received", "token-received"
_NAME = "forwarding"
_LOOK_EVERY_S = 1.0
_RETRY_S = 2.0
_TIMEOUT_S = 30
_SAVE_EVERY_S = 60.0  # where nothing was forwarded


def forward(config: Config, mqtt_url: str, stopping: Stopping, following: Event) -> None:
    """Forward until told to stop, over every outage of the database, the broker and Redis.

    `following` is set while none of the first two is away.
    """
    redis = Redis.from_url(config.redis_url, socket_connect_timeout=2, socket_timeout=5)
    while not stopping.is_set():
        publisher = Publisher(mqtt_url)  # first: an address that is none is no outage
        try:
            with connect(config.database_url) as conn, publisher:
                forwarder = Forwarder(conn, publisher, redis, config.secret_key)
                following.set()
                log.info("forwarding")
                while not stopping.is_set():
                    if not forwarder.step():
                        _wait(redis, stopping)
        except (*AWAY, BrokerError) as error:
            following.clear()
            log.warning("away", extra={"error": str(error).strip(), "next_try_s": _RETRY_S})
            stopping.wait(_RETRY_S)


def _wait(redis: Redis, stopping: Stopping) -> None:
    """Return when somebody has committed, or after a second."""
    try:
        redis.xread({STREAM: "$"}, block=int(_LOOK_EVERY_S * 1000))
    except RedisError:
        stopping.wait(_LOOK_EVERY_S)


class Publisher(Connection):
    """A connection to the broker, for a `with` block; raises BrokerError."""

    def __init__(self, mqtt_url: str) -> None:
        self._client, self._address = make_client(mqtt.Client, mqtt_url, "", "MQTT_URL")

    def publish(self, messages: list[tuple[str, bytes]]) -> None:
        """Return when the broker has confirmed them all."""
        sent = [self._client.publish(topic, payload, qos=1) for topic, payload in messages]
        deadline = time.monotonic() + _TIMEOUT_S
        for message in sent:
            try:
                message.wait_for_publish(max(0.0, deadline - time.monotonic()))
            except (RuntimeError, ValueError) as error:
                raise BrokerError(f"not published: {error}") from None
            if not message.is_published():
                raise BrokerError(f"the broker has not confirmed within {_TIMEOUT_S} s")


class Forwarder:
    def __init__(self, conn: DictConnection, publisher: Publisher, redis: Redis, secret_key: str) -> None:
        self._conn = conn
        self._publisher = publisher
        self._redis = redis
        self._secret_key = secret_key
        self._seen = self._begin()
        self._saved_at = time.monotonic()

    def step(self) -> bool:
        """Forward a page of what has been committed; return whether there may be more."""
        tokens = {row["id"]: row for row in queries.forwarded_devices(self._conn)}
        page = read_page(self._conn, self._seen, None, lambda device: device["id"] in tokens)
        messages = [self._message(part, tokens[part.device["id"]]) for part in page.parts]
        self._publisher.publish([message for message in messages if message is not None])
        self._announce(page)
        self._seen = page.seen
        if page.parts or time.monotonic() - self._saved_at > _SAVE_EVERY_S:
            queries.note_follower(self._conn, name=_NAME, seen=str(self._seen))
            self._saved_at = time.monotonic()
        return not page.is_last

    def _begin(self) -> Snapshot:
        seen = queries.seen_by_follower(self._conn, name=_NAME)
        if seen is not None and queries.is_remembered(self._conn, seen=seen):
            return Snapshot.parse(seen)
        if seen is not None:
            log.error("nothing was forwarded for more than a day: what came before now is left out")
        seen = queries.current_snapshot(self._conn)
        queries.note_follower(self._conn, name=_NAME, seen=seen)  # an outage right now loses nothing of what follows
        return Snapshot.parse(seen)

    def _message(self, part: Part, owners: Row) -> tuple[str, bytes] | None:
        device_id = part.device["id"]
        token = unseal(bytes(owners["sealed"]), bytes(owners["hash"]), self._secret_key)
        records = read_devices(self._conn, [device_id], NOBODY)
        if token is None or not records:
            return None
        shown = device_v1_json(records[0], own=False)
        device = records[0].device
        shown["data_policy"] = {
            name: device[name]
            for name in ("is_private", "enable_forwarding", "precise_location", "forwarding_destination")
        }
        for component in shown["components"]:
            component["readings"] = _readings_of(part, component["sensor"]["id"])
        return f"/forward/{token}/device/{device_id}/readings", to_json(shown)

    def _announce(self, page: Page) -> None:
        """Publish on Redis what has happened; who does not listen, or while it is away, hears nothing of it."""
        events: list[tuple[str, dict[str, Any]]] = [(DATA, {"device_id": device_id}) for device_id in page.device_ids]
        for row in queries.announce_orphans(self._conn):
            sealed = row["session_sealed"]
            session = unseal(bytes(sealed), bytes(row["session_hash"]), self._secret_key) if sealed else None
            if session is not None:
                events.append((TOKEN, {"onboarding_session": session}))
        if not events:
            return
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for channel, event in events:
                pipeline.publish(channel, orjson.dumps(event))
            pipeline.execute()
        except RedisError as error:
            log.warning("events left out: Redis is away", extra={"error": str(error), "events": len(events)})


def _readings_of(part: Part, sensor_id: int) -> list[dict[str, Any]]:
    return [
        {"timestamp": from_us(time), "value": row["value"]}
        for sensor, time, row in zip(part.sensor_ids.tolist(), part.times.tolist(), part.found, strict=True)
        if sensor == sensor_id and row is not None
    ]
