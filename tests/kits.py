"""What a kit does at the broker."""

from threading import Event

import paho.mqtt.client as mqtt
from conftest import RunningBroker
from paho.mqtt.enums import CallbackAPIVersion


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
