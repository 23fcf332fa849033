"""A device that logs in at the broker, and what the broker lets it do."""

import queue
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from conftest import RunningBroker
from paho.mqtt.enums import CallbackAPIVersion
from waiting import wait_for

_TIMEOUT_S = 10


class MqttDevice:
    """A stock MQTT client, for a `with` block; it stays outside where `is_in` is false."""

    def __init__(
        self,
        url: str,
        username: str | None,
        password: str | None = None,
        client_id: str = "",
        protocol: int = mqtt.MQTTv5,
        ca: Path | None = None,
        trust: bool = True,
    ) -> None:
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.cut_off = threading.Event()
        self._said: queue.Queue[bool] = queue.Queue()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, reconnect_on_failure=False
        )
        if username is not None:
            self._client.username_pw_set(username, username if password is None else password)
        if urlsplit(url).scheme == "mqtts" and trust:
            self._client.tls_set_context(ssl.create_default_context(cafile=ca))
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self._client.on_connect = lambda _c, _d, _f, reason, _p: self._said.put(not reason.is_failure)
        self._client.on_subscribe = lambda _c, _d, _m, reasons, _p: self._said.put(not reasons[0].is_failure)
        self._client.on_publish = lambda _c, _d, _m, reason, _p: self._said.put(not reason.is_failure)
        self._client.on_message = lambda _c, _d, message: self.received.put((message.topic, message.payload))
        self._client.on_disconnect = lambda *_: self._lose()

    def __enter__(self) -> Self:
        self._client.connect(*self._address)
        self._client.loop_start()
        self.is_in = self._said.get(timeout=_TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # so that it ends now and closes its sockets, not in whatever order the collector takes

    def _lose(self) -> None:
        self.cut_off.set()
        self._said.put(False)

    def publish(self, topic: str, payload: bytes = b"x", **options: Any) -> bool:
        """Publish at QoS 1 and return whether the broker takes it; MQTT 3.1.1 knows no other word."""
        self._client.publish(topic, payload, qos=1, **options)
        return self._said.get(timeout=_TIMEOUT_S)

    def subscribe(self, topic: str) -> bool:
        """Subscribe and return whether the broker allows it."""
        self._client.subscribe(topic, qos=1)
        return self._said.get(timeout=_TIMEOUT_S)

    def everything_received(self) -> list[tuple[str, bytes]]:
        """Return what has come until now, once the broker has gone through all that was sent before."""
        self._client.subscribe(f"device/sck/{self._client.username}/receipts")
        self._said.get(timeout=_TIMEOUT_S)
        return [self.received.get_nowait() for _ in range(self.received.qsize())]


def gets_in(broker: RunningBroker, token: str) -> bool:
    with MqttDevice(broker.device_url, token) as device:
        return device.is_in


def known(broker: RunningBroker, token: str) -> str:
    wait_for(lambda: gets_in(broker, token))
    return token
