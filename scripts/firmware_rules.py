"""What a device does wrong, as its packets show it, with plain advice. Pure: the clock is an argument."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from ingestor.batch import LATEST_AHEAD
from ingestor.known import EARLIEST
from ingestor.loose_json import parse_object
from ingestor.payload import Datapoint, Flaw, Reason, parse_each, parse_raw
from ingestor.reports import ConfigReport, parse_config_report, parse_errors
from ingestor.topics import Kind, parse_topic
from scripts.mosquitto import DEVICE_READS, DEVICE_WRITES
from scripts.mqtt_packets import Connack, Connect, Packet, Publish, Subscribe

_LARGE_BYTES = 64 * 1024
_CLOCK_OFF = timedelta(seconds=60)
_SHORTEST_LOGIN = 16
_ADVICE = {
    Reason.UNREADABLE: "Send {t:TIME,ID:VALUE,…} on readings/raw, or the JSON of README's `Send readings` on readings.",
    Reason.NO_TIME: "Give every reading its time: t, or recorded_at, in UTC, as 2026-01-15T08:30:00Z.",
    Reason.IMPOSSIBLE_TIME: "Set the clock (NTP) before the first reading; keep readings until it is set.",
    Reason.NOT_A_NUMBER: "Leave a value out, or send null, where nothing was measured.",
}


class Finding(NamedTuple):
    """One thing that is wrong, or that could be better."""

    is_wrong: bool  # else it is advice
    what: str
    advice: str


class Checker:
    """Looks at the packets of one device, in their order."""

    def __init__(
        self, token: str, sensors: dict[int, str | None] | None = None, interval_s: float | None = None
    ) -> None:
        """`sensors`: the catalogue's ids and default keys, None: not known; `interval_s`: the pace it should keep."""
        self._token = token
        self._sensors = sensors
        self._interval_s = interval_s
        self._found: Counter[Finding] = Counter()
        self._subscribed: set[str] = set()
        self._sent_at: list[datetime] = []  # messages with readings
        self._skews: list[timedelta] = []
        self._datapoints: Counter[int | str] = Counter()
        self._told = self._reported = 0  # versions of the configuration
        self._asks_for_receipts = False
        self._has_login = False
        self._examples: dict[str, str] = {}  # the first detail of each kind of finding: the next may differ in a digit

    def device_sent(self, packet: Packet, now: datetime) -> None:
        """Look at a packet of the device."""
        if isinstance(packet, Connect):
            self._look_at_connect(packet)
        elif isinstance(packet, Subscribe):
            self._look_at_subscribe(packet)
        elif isinstance(packet, Publish):
            self._look_at_publish(packet, now)

    def broker_sent(self, packet: Packet) -> None:
        """Look at a packet of the broker."""
        if isinstance(packet, Connack) and packet.code:
            self._wrong(
                f"the broker refuses the connection (code {packet.code})",
                "Give the device's token as user name and as password; a new token works within seconds.",
            )
        elif isinstance(packet, Publish) and packet.topic.endswith("/config") and packet.payload:
            config = json.loads(packet.payload)
            self._told = config["version"]
            self._interval_s = config.get("publish_interval") or self._interval_s

    def broken(self, error: ValueError) -> None:
        """What came is no MQTT."""
        self._wrong(f"no MQTT: {error}", "Speak MQTT 3.1.1 or 5 over TCP.")

    def findings(self) -> list[tuple[Finding, int]]:
        """Return what was found, how often, what is wrong first."""
        found = self._found + Counter(self._at_the_end())
        return sorted(found.items(), key=lambda item: not item[0].is_wrong)

    def summary(self) -> str:
        """Say what came."""
        sensors = ", ".join(map(str, sorted(self._datapoints, key=str)))
        return f"{len(self._sent_at)} messages with {sum(self._datapoints.values())} values of sensors {sensors or '-'}"

    def _wrong(self, what: str, advice: str) -> None:
        self._found[Finding(True, what, advice)] += 1

    def _advise(self, what: str, advice: str) -> None:
        self._found[Finding(False, what, advice)] += 1

    def _look_at_connect(self, packet: Connect) -> None:
        self._has_login = packet.username is not None
        if packet.username is None:
            if packet.client_id != self._token:
                self._wrong("the client id is not the token", "Without a login the token must be the client id.")
            self._advise("no user name", "Log in with the token as user name and password: only then it reads config.")
        elif packet.username != self._token:
            self._wrong("the user name is not the token", "User name and password are both the device's token.")
        elif packet.password != self._token:
            self._wrong("the password is not the token", "User name and password are both the device's token.")
        elif len(self._token) < _SHORTEST_LOGIN:
            self._wrong("the token is too short to log in with", f"A login needs {_SHORTEST_LOGIN} characters.")
        if packet.keepalive_s == 0:
            self._advise("no keep-alive", "Set 60 to 300 seconds: else a dead connection stays open for hours.")
        if not packet.clean:
            self._advise(
                "no clean session", "Ask for one: else every configuration it slept through comes, not the last."
            )
        if packet.will_topic is not None and not self._may_write(packet.will_topic):
            self._wrong(f"a will on {self._shown(packet.will_topic)}", f"Only these are its own: {self._own_topics()}.")

    def _look_at_subscribe(self, packet: Subscribe) -> None:
        for topic, qos in packet.filters:
            name = topic.removeprefix(f"device/sck/{self._token}/")
            if topic == name or name not in DEVICE_READS:
                readable = ", ".join(f"device/sck/TOKEN/{read}" for read in DEVICE_READS)
                self._wrong(f"a subscription to {self._shown(topic)}", f"It may read {readable}, and nothing else.")
                continue
            self._subscribed.add(name)
            if qos == 0:
                self._advise(f"{name} at QoS 0", "Subscribe at QoS 1: what is lost on the way then comes again.")

    def _look_at_publish(self, packet: Publish, now: datetime) -> None:
        shown = self._shown(packet.topic)
        if packet.retain:
            advice = "Clear the retain flag: a retained message comes again whenever a reader connects."
            self._wrong(f"{shown} is retained", advice)
        if packet.size > _LARGE_BYTES:
            self._advise(f"{shown}: more than {_LARGE_BYTES:,} bytes a message", "Send smaller ones, at most 1 MiB.")
        if not self._may_write(packet.topic):
            self._wrong(f"{shown} is no topic of this device", f"These are: {self._own_topics()}.")
            return
        topic = parse_topic(packet.topic)
        if topic is None:
            return
        if topic.kind in (Kind.JSON, Kind.RAW):
            self._look_at_readings(packet, topic.kind, now)
        elif topic.kind is Kind.INFO and parse_object(packet.payload) is None:
            self._wrong("info is no JSON object", 'Send one, as {"hw_ver":"2.1","mac":"…"}.')
        elif topic.kind is Kind.ERRORS:
            _, flaws = parse_errors(packet.payload, EARLIEST, now, now + LATEST_AHEAD)
            for flaw in flaws:
                self._wrong(f"errors: {flaw.detail}", 'Send {"time":…,"component":…,"code":…,"message":…}.')
        elif topic.kind is Kind.CONFIG_REPORT:
            self._look_at_report(packet.payload, now)

    def _look_at_readings(self, packet: Publish, kind: Kind, now: datetime) -> None:
        self._sent_at.append(now)
        if packet.qos == 0:
            self._advise(f"{kind} at QoS 0", "Publish at QoS 1, and again until it is acknowledged: then none is lost.")
        elif packet.qos == 2:
            self._advise(f"{kind} at QoS 2", "QoS 1 is enough: a reading that comes twice is stored once.")
        parts, receipt_id = parse_each(packet.payload) if kind is Kind.JSON else ([parse_raw(packet.payload)], None)
        self._asks_for_receipts |= receipt_id is not None
        for part in parts:
            for flaw in part.flaws:
                self._look_at_flaw(kind, flaw)
            self._look_at_datapoints(part.datapoints, now)
        times = [point.time for part in parts for point in part.datapoints]
        if times:
            self._skews.append(max(times) - now)

    def _look_at_flaw(self, kind: Kind, flaw: Flaw) -> None:
        example = self._examples.setdefault(f"{kind} {flaw.reason}", flaw.detail)
        self._wrong(f"{kind}: {example}", _ADVICE.get(flaw.reason, "It goes to quarantine, not into history."))

    def _look_at_datapoints(self, datapoints: list[Datapoint], now: datetime) -> None:
        for point in datapoints:
            self._datapoints[point.sensor] += 1
            if not EARLIEST <= point.time <= now + LATEST_AHEAD:
                example = self._examples.setdefault("time", f"{point.time:%Y-%m-%d}")
                self._wrong(f"a reading of {example}", _ADVICE[Reason.IMPOSSIBLE_TIME])
            if self._sensors is not None and not self._is_known(point.sensor):
                advice = "Take an id of GET /v0/sensors, or propose a sensor with a kit: POST /v0/kits."
                self._wrong(f"no sensor {point.sensor}", advice)

    def _is_known(self, sensor: int | str) -> bool:
        sensors = self._sensors or {}
        return sensor in (sensors if isinstance(sensor, int) else sensors.values())

    def _look_at_report(self, payload: bytes, now: datetime) -> None:
        report = parse_config_report(payload, now)
        if isinstance(report, ConfigReport):
            self._reported = max(self._reported, report.version)
        else:
            self._wrong("config/reported cannot be read", f"{report.detail[0].upper()}{report.detail[1:]}.")

    def _at_the_end(self) -> Iterator[Finding]:
        if not self._sent_at:
            yield Finding(True, "no readings came", "Publish to device/sck/TOKEN/readings or …/readings/raw.")
        yield from self._clock()
        yield from self._interval()
        if self._has_login and "config" not in self._subscribed:
            yield Finding(False, "config is not read", "Subscribe to device/sck/TOKEN/config to be told what to do.")
        if self._told and self._reported < self._told:
            advice = (
                f'Publish {{"version":{self._told},"applied":true}}, or an error, to device/sck/TOKEN/config/reported.'
            )
            yield Finding(True, f"nothing was said of version {self._told} of the configuration", advice)
        if self._asks_for_receipts and "receipts" not in self._subscribed:
            yield Finding(True, "receipts are asked for and not read", "Subscribe to device/sck/TOKEN/receipts.")

    def _clock(self) -> Iterator[Finding]:
        """Judge the newest readings: older ones may have been stored."""
        nearest = max(self._skews, default=timedelta(0))
        if nearest > _CLOCK_OFF:
            what = f"the clock is {nearest.total_seconds():,.0f} s fast"
            yield Finding(True, what, "Set it by NTP, in UTC: a time zone too many is 3,600 s or more.")
        elif nearest < -_CLOCK_OFF:
            what = f"the newest reading is {-nearest.total_seconds():,.0f} s old when it comes"
            yield Finding(True, what, "Set the clock by NTP, in UTC, or send more often, if it stores them so long.")

    def _interval(self) -> Iterator[Finding]:
        gaps = [
            (later - earlier).total_seconds() for earlier, later in zip(self._sent_at, self._sent_at[1:], strict=False)
        ]
        if len(gaps) < 3:
            return
        usual_s = median(gaps)
        if self._interval_s and not 0.8 <= usual_s / self._interval_s <= 1.25:
            what = f"a message every {usual_s:,.1f} s instead of every {self._interval_s:,.1f} s"
            yield Finding(True, what, "Keep the publish_interval of the configuration, or report why not.")
        elif usual_s < 1:
            yield Finding(False, f"a message every {usual_s:.2f} s", "Send several readings in one message.")

    def _may_write(self, topic: str) -> bool:
        return topic == "device/inventory" or topic in {f"device/sck/{self._token}/{name}" for name in DEVICE_WRITES}

    def _own_topics(self) -> str:
        return ", ".join(f"device/sck/TOKEN/{name}" for name in DEVICE_WRITES)

    def _shown(self, topic: str) -> str:
        """The topic as it may stand in a report that is passed on."""
        return topic.replace(self._token, "TOKEN")
