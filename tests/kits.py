"""What a kit does at the broker, and a simulated one there."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

import paho.mqtt.client as mqtt
from conftest import RunningBroker
from paho.mqtt.enums import CallbackAPIVersion

from scripts.firmware import Firmware
from scripts.simulate_kit import Kit, run


def publish(
    broker: RunningBroker,
    token: str,
    kind: str,
    *payloads: bytes,
    qos: int = 1,
    topic: str = "",
    retain: bool = False,
) -> None:
    """Publish as a kit does, with its token as client id, and return when the broker has it all.

    The topic is the token's own of that kind, unless another is given.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=token)
    connected = Event()
    client.on_connect = lambda *_: connected.set()
    host, port = broker.kit_url.removeprefix("mqtt://").split(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        # What is sent at QoS 0 before a busy broker has let us in is lost if we come back under the same name at once.
        assert connected.wait(10)
        for payload in payloads:
            client.publish(topic or f"device/sck/{token}/{kind}", payload, qos, retain).wait_for_publish(10)
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def simulated(
    broker_url: str, token: str, as_json: bool = False, broken: tuple[int, ...] = (), login: bool = True
) -> Iterator[Kit]:
    """A kit that sends once a second."""
    stop, wake = Event(), Event()
    firmware = Firmware(token, "2.1", interval_s=1, seed=7)
    kit = Kit(firmware, datetime.now(UTC).replace(microsecond=0), as_json, wake, login, broken)
    host, port = broker_url.removeprefix("mqtt://").split(":")
    kit.connect(host, int(port))
    running = Thread(target=run, args=([kit], 100, None, stop, wake, lambda: None))
    running.start()
    try:
        yield kit
    finally:
        stop.set()
        wake.set()
        running.join()
