"""Keep on the broker, retained, what each device is to do: for a device that sleeps, until it wakes.

The database is the truth. What the broker has been told stands beside the login it was told under, so one query shows
what it lacks; whatever was lost on the way shows when stock is taken of what it really keeps.
"""

import logging
from collections.abc import Iterable, Mapping
from threading import Event
from typing import Any

import orjson
import paho.mqtt.client as mqtt

from app.broker.connection import BrokerError, Connection
from app.sealing import unseal
from ingestor.mqtt import make_client
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries

log = logging.getLogger(__name__)

_TIMEOUT_S = 30
_BATCH = 200
_TOPIC = "device/sck/{}/config"
_ALL, _NOBODYS = _TOPIC.format("+"), _TOPIC.format("-")


class Retained(Connection):
    """A connection to the broker, as a program of ours, for a `with` block; every method raises BrokerError."""

    def __init__(self, mqtt_url: str) -> None:
        # The broker makes a client id up: by a known one somebody at the kits' door could end the connection.
        self._client, self._address = make_client(mqtt.Client, mqtt_url, "", "MQTT_URL", reconnect_on_failure=False)
        self._client.on_connect = lambda _client, _data, _flags, reason, _properties: self._hear(reason)
        self._client.on_subscribe = lambda _client, _data, _mid, reasons, _properties: self._hear(reasons[0])
        self._client.on_publish = lambda _client, _data, _mid, reason, _properties: self._hear(reason)
        self._client.on_disconnect = lambda _client, _data, _flags, reason, _properties: self._hear(reason)
        self._client.on_message = lambda _client, _data, message: self._found.update(
            {message.topic: bytes(message.payload)}
        )
        self._found: dict[str, bytes] = {}
        self._refusal: str | None = None
        self._heard = Event()

    def _welcome(self) -> None:
        self._wait()

    def read(self) -> dict[str, bytes]:
        """Return what the broker keeps, by token."""
        self._found = {}
        # At QoS 0, in one go: at QoS 1 the answer to the second subscription would overtake what waits for a window.
        for topic in (_ALL, _NOBODYS):
            self._heard.clear()
            self._client.subscribe(topic, qos=0)
            self._wait()
        self._client.unsubscribe([_ALL, _NOBODYS])
        return {topic.split("/")[2]: payload for topic, payload in self._found.items()}

    def write(self, payloads: Mapping[str, bytes]) -> None:
        """Let the broker keep these, by token; an empty one is forgotten. Returns when it has confirmed them all."""
        sent = [
            self._client.publish(_TOPIC.format(token), payload, qos=1, retain=True)
            for token, payload in payloads.items()
        ]
        for message in sent:
            try:
                message.wait_for_publish(_TIMEOUT_S)
            except (RuntimeError, ValueError) as error:
                raise BrokerError(f"connection to the broker lost: {error}") from None
            if not message.is_published():
                raise BrokerError(f"the broker has not answered for {_TIMEOUT_S} s")
        if self._refusal:
            raise BrokerError(f"the broker refuses configurations: {self._refusal}")

    def _hear(self, reason: Any) -> None:
        self._refusal = str(reason) if reason.is_failure else self._refusal
        self._heard.set()

    def _wait(self) -> None:
        if not self._heard.wait(_TIMEOUT_S):
            raise BrokerError(f"the broker has not answered for {_TIMEOUT_S} s")
        if self._refusal:
            raise BrokerError(f"the broker refuses: {self._refusal}")


class ConfigKeeper:
    """Who has a connection to both, the database and the broker; raises psycopg's errors and BrokerError."""

    def __init__(self, conn: DictConnection, retained: Retained, secret_key: str) -> None:
        self._conn = conn
        self._retained = retained
        self._secret_key = secret_key
        self._surplus: list[str] = []  # tokens
        self._right: dict[bytes, int] = {}  # versions by the token's hash

    def drift(self) -> int:
        """Compare, and change nothing; return how much of what the broker keeps is wrong, missing, or nobody's."""
        kept = {hash_token(token): (token, payload) for token, payload in self._retained.read().items()}
        wanted = {bytes(row["hash"]): row for row in queries.wanted_broker_configs(self._conn)}
        self._surplus = [token for token_hash, (token, _) in kept.items() if token_hash not in wanted]
        self._right = {
            token_hash: row["version"]
            for token_hash, row in wanted.items()
            if token_hash in kept and kept[token_hash][1] == _payload(row)
        }
        return len(wanted) - len(self._right) + len(self._surplus)

    def take_stock(self) -> None:
        """Note what the broker really keeps, as `drift` found it: `step` does the rest. What is nobody's is cleared."""
        self.clear(self._surplus)
        hashes, versions = list(self._right), list(self._right.values())
        queries.note_all_broker_configs(self._conn, hashes=hashes, versions=versions)

    def step(self) -> bool:
        """Tell the broker one batch of what has changed; whether there was any."""
        rows = queries.broker_config_changes(self._conn, most=_BATCH)
        tokens = [unseal(bytes(row["sealed"]), bytes(row["hash"]), self._secret_key) for row in rows]
        # Keeper seals anew what another SECRET_KEY has sealed.
        opened = [(token, row) for token, row in zip(tokens, rows, strict=True) if token is not None]
        self._retained.write({token: _payload(row) for token, row in opened})
        hashes, versions = [bytes(row["hash"]) for _, row in opened], [row["version"] for _, row in opened]
        queries.note_broker_configs(self._conn, hashes=hashes, versions=versions)
        if opened:
            log.info("configurations told", extra={"logins": len(opened)})
        return bool(opened)

    def clear(self, tokens: Iterable[str]) -> None:
        """Let the broker forget what it keeps for these tokens."""
        self._retained.write(dict.fromkeys(tokens, b""))


def _payload(row: Row) -> bytes:
    """Return what a device is sent: one JSON object, with its version."""
    return orjson.dumps({"version": row["version"], **row["config"]}, option=orjson.OPT_SORT_KEYS)
