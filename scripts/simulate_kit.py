"""Simulated Smart Citizen Kits: they speak MQTT as the firmware does and have a plausible day in every sensor."""

import argparse
import json
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from tqdm import tqdm

from ingestor.stopping import Stopping
from scripts.firmware import SENSORS, Firmware, error_payload, json_payload, raw_payload, report_payload

# A connection takes three file descriptors, and paho waits with select(), which knows 1024.
MOST_KITS = 300
MOST_MESSAGES_PER_S = 2000
RECEIPT_WITHIN_S = 30
DESCRIPTION = f"""\
Simulated Smart Citizen Kits. Each has a connection and a thread of its own, since the broker ties a kit's client id to
its token: at most {MOST_KITS} kits in a process; start more processes for more. The first kit's values come from the
seed, the second's from seed + 1, and so on. To load a platform, send the past: --backfill 7 --rate 1000 --once.
With --login a kit takes its configuration too, and with --json it waits for receipts.
"""


class Kit:
    """A kit and its connection.

    Like the firmware it sends its groups of readings oldest first, each once the one before is out: written to the
    connection (QoS 0, raw) or acknowledged (QoS 1, JSON). What is not out waits until the connection is back.
    Unlike the firmware it answers the broker's keep-alive, and so stays connected between readings.

    With `login` it does what devices can: it takes its configuration and says what it makes of it, and a JSON group is
    out only when a receipt says that it is stored. `broken`: sensors that give errors in the place of values.
    """

    def __init__(
        self,
        firmware: Firmware,
        first: datetime,
        as_json: bool,
        wake: threading.Event,
        login: bool = False,
        broken: Sequence[int] = (),
    ) -> None:
        self.next_time = first
        self.firmware = firmware
        self.version = 0  # of its configuration
        self.receipts: Counter[str] = Counter()  # what became of its datapoints
        self._as_json, self._login, self._broken, self._wake = as_json, login, broken, wake
        self._introduced = False
        self._sent: mqtt.MQTTMessageInfo | None = None
        self._sent_at = 0.0
        self._receipt_id = 0
        self._published: set[int] = set()  # numbers of the messages that are out
        self._heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=firmware.token, clean_session=True, protocol=mqtt.MQTTv311
        )
        if login:
            self._client.username_pw_set(firmware.token, firmware.token)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    def connect(self, host: str, port: int) -> None:
        """Connect in the background, again and again until it works."""
        self._client.connect_async(host, port, keepalive=120)
        self._client.loop_start()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected()

    @property
    def is_sending(self) -> bool:
        return self._sent is not None

    def send(self) -> None:
        """Send the next group, and before the first one what a kit sends when it is set up and when it boots."""
        if not self._introduced:
            self._publish("hello", self.firmware.hello())
            self._publish("info", self.firmware.info(datetime.now(UTC)))
            self._introduced = True
        values = self.firmware.readings(self.next_time)
        if failing := [sensor for sensor in self._broken if values.pop(sensor, None) is not None]:
            self._publish("errors", error_payload(self.next_time, failing), qos=1)
        self._sent_at = time.monotonic()
        if self._as_json:
            self._receipt_id += 1
            wanted = self._receipt_id if self._login else None
            self._sent = self._publish("readings", json_payload(self.next_time, values, wanted), qos=1)
        else:
            self._sent = self._publish("readings/raw", raw_payload(self.next_time, values))

    def settle(self) -> bool:
        """Do what the kit was told, look after the group under way, and return whether it is out now."""
        has_receipt = self._listen()
        if self._sent is None:
            return False
        waits_for_receipt = self._as_json and self._login
        if has_receipt if waits_for_receipt else self._sent.mid in self._published:
            self._sent = None
            self._published.clear()
            self.next_time += timedelta(seconds=self.firmware.interval_s)
            return True
        if waits_for_receipt and time.monotonic() - self._sent_at > RECEIPT_WITHIN_S:
            self._sent = None  # sent again: what is stored already is a duplicate then
        elif not self._as_json and self._sent.rc != mqtt.MQTT_ERR_SUCCESS:
            self._sent = None  # lost with the connection, so it goes again; at QoS 1 paho itself sends it again
        return False

    def close(self) -> None:
        self._client.disconnect()

    def _listen(self) -> bool:
        """Do what the platform has said; whether a receipt of the group under way was among it."""
        has_receipt = False
        while not self._heard.empty():
            topic, payload = self._heard.get()
            if not payload:
                continue  # a configuration that is kept no longer
            said = json.loads(payload)
            if topic.endswith("/receipts"):
                has_receipt |= said["id"] == self._receipt_id
                self.receipts += Counter(
                    stored=said["stored"], duplicate=said["duplicate"], quarantined=len(said["quarantined"])
                )
            elif said["version"] != self.version:
                self._obey(said)
        return has_receipt

    def _obey(self, config: dict[str, Any]) -> None:
        """Do what a configuration says from the next group on, and tell; it comes again at each connection."""
        error = None
        before_s = self.firmware.interval_s
        try:
            self.firmware = self.firmware.configured(config)
        except ValueError as refusal:
            error = str(refusal)
        self.version = config["version"]
        if not self.is_sending and self._introduced:
            self.next_time += timedelta(seconds=self.firmware.interval_s - before_s)
        self._publish("config/reported", report_payload(self.version, error), qos=1)
        tqdm.write(f"configuration {self.version}: {error or 'applied'}", file=sys.stderr)

    def _publish(self, topic: str, payload: bytes, qos: int = 0) -> mqtt.MQTTMessageInfo:
        return self._client.publish(f"device/sck/{self.firmware.token}/{topic}", payload, qos=qos)

    def _on_connect(self, client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            tqdm.write(f"{self.firmware.token}: the broker answers {reason}", file=sys.stderr)
        elif self._login:
            client.subscribe([(f"device/sck/{self.firmware.token}/{topic}", 1) for topic in ("config", "receipts")])
        self._wake.set()

    def _on_publish(self, _client: mqtt.Client, _userdata: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._published.add(mid)
        self._wake.set()

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._heard.put((message.topic, message.payload))
        self._wake.set()


def run(
    kits: Sequence[Kit],
    rate: float,
    until: datetime | None,
    stop: Stopping,
    wake: threading.Event,
    on_out: Callable[[], object],
) -> int:
    """Send the kits' groups as they fall due, at most `rate` a second in all; call `on_out` for each that is out.

    Ends when `stop` is set, or when all groups up to `until` are out. Gives those under way five seconds more and
    returns how many are not out even then.
    """
    next_slot = time.monotonic()
    was_connected = True
    while not stop.is_set():
        wake.clear()
        if was_connected != all(kit.is_connected for kit in kits):
            was_connected = not was_connected
            tqdm.write("connected" if was_connected else "waiting for the broker", file=sys.stderr)
        now, has_sent = datetime.now(UTC), False
        for kit in kits:
            if kit.settle():
                on_out()
            if kit.is_connected and not kit.is_sending and kit.next_time <= (until or now):
                kit.send()
                has_sent = True
                next_slot = max(next_slot, time.monotonic()) + 1 / rate
                if stop.wait(next_slot - time.monotonic()):
                    break
        if until and all(not kit.is_sending and kit.next_time > until for kit in kits):
            break
        if not has_sent:
            wake.wait(0.2)
    deadline = time.monotonic() + 5
    while (left := sum(kit.is_sending for kit in kits)) and time.monotonic() < deadline:
        wake.wait(0.05)
        wake.clear()
        for kit in kits:
            if kit.settle():
                on_out()
    for kit in kits:
        kit.close()
    return left


def _arguments(command_line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m scripts.simulate_kit", description=DESCRIPTION)
    parser.add_argument("--host", default="127.0.0.1", help="the broker (%(default)s)")
    parser.add_argument("--port", type=int, help="its port: 1883, the kits' own; with --login 1884, the devices'")
    parser.add_argument("--login", action="store_true", help="log in with the token as user name and password")
    parser.add_argument("--token", action="append", default=[], help="a kit's device token; repeat it for more kits")
    parser.add_argument("--tokens-file", type=Path, help="a file with a token a line")
    parser.add_argument("--hardware", choices=SENSORS, default="2.1", help="the kits' version (%(default)s)")
    parser.add_argument("--interval", type=int, default=60, metavar="SECONDS", help="between readings (%(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="messages a second in all, at most (%(default)s)")
    parser.add_argument("--backfill", type=float, default=0, metavar="DAYS", help="send the past first, oldest first")
    parser.add_argument("--once", action="store_true", help="end when the present is reached")
    parser.add_argument("--json", action="store_true", help="send JSON at QoS 1, not the kit's own format at QoS 0")
    parser.add_argument(
        "--broken", action="append", type=int, default=[], metavar="SENSOR", help="it sends errors instead of values"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same values (%(default)s)")
    arguments = parser.parse_args(command_line)
    if arguments.tokens_file:
        arguments.token += arguments.tokens_file.read_text().split()
    arguments.token = list(dict.fromkeys(arguments.token))
    arguments.port = arguments.port or (1884 if arguments.login else 1883)
    if not 1 <= len(arguments.token) <= MOST_KITS:
        parser.error(f"{len(arguments.token)} tokens: give 1 to {MOST_KITS} with --token or --tokens-file")
    if bad := [token for token in arguments.token if not token or set(token) & set("/+#")]:
        parser.error(f"token {bad[0]!r}: it stands in a topic, so it cannot be empty or have a / + or #")
    if arguments.interval < 1:
        parser.error(f"--interval {arguments.interval}: a reading's time is in whole seconds, so at least 1")
    if not 0 < arguments.rate <= MOST_MESSAGES_PER_S:
        parser.error(f"--rate {arguments.rate}: one process sends above 0 and up to {MOST_MESSAGES_PER_S} a second")
    if arguments.backfill < 0:
        parser.error(f"--backfill {arguments.backfill}: give the number of days back")
    return arguments


def main(command_line: Sequence[str] | None = None) -> int:
    arguments = _arguments(command_line)
    stop, wake = Stopping().on_signals(), threading.Event()
    interval = timedelta(seconds=arguments.interval)
    present = datetime.fromtimestamp(time.time() // arguments.interval * arguments.interval, UTC)
    past = int(timedelta(days=arguments.backfill) / interval)
    kits = [
        Kit(
            Firmware(token, arguments.hardware, arguments.interval, seed),
            present - past * interval,
            arguments.json,
            wake,
            arguments.login,
            arguments.broken,
        )
        for seed, token in enumerate(arguments.token, arguments.seed)
    ]
    print(f"kits: {len(kits)}, to {arguments.host}:{arguments.port}, every {arguments.interval} s", file=sys.stderr)
    for kit in kits:
        kit.connect(arguments.host, arguments.port)
    total = (past + 1) * len(kits) if past else None
    # disable=None: no bar where nobody watches a terminal
    with tqdm(total=total, unit=" messages", disable=None) as progress:
        until = present if arguments.once else None
        left = run(kits, arguments.rate, until, stop, wake, progress.update)
    if receipts := sum((kit.receipts for kit in kits), Counter()):
        print("receipts:", ", ".join(f"{count} {what}" for what, count in receipts.items()), file=sys.stderr)
    if left:
        print(f"{left} messages were under way at the end: nothing says that they arrived", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
