"""What a Smart Citizen Kit 2.x measures and prints: plausible values, and the firmware's bytes for them. Pure."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple


def _sun(hour: float) -> float:
    """From 0 at night to 1 at noon."""
    return max(0.0, math.sin(math.tau * (hour - 6) / 24))


def _warmth(hour: float) -> float:
    """From 0 at three in the morning to 1 at three in the afternoon."""
    return (1 + math.cos(math.tau * (hour - 15) / 24)) / 2


def _bustle(hour: float) -> float:
    """From 0 at night to 0.9 in the two rush hours of a street."""
    return max(0.0, (1 - math.cos(math.tau * (hour - 1) / 24)) / 2 + math.cos(math.tau * (hour - 8) / 12) / 4)


def _steady(_hour: float) -> float:
    return 0.5


class Channel(NamedTuple):
    """A sensor's value where its cycle is 0 and where it is 1, and how the firmware prints and schedules it."""

    rest: float
    peak: float
    cycle: Callable[[float], float]
    decimals: int = 2
    every: int = 1  # it is in every n-th group of readings


CHANNELS = {
    10: Channel(70, 94, _sun, decimals=0),  # battery, fed by a solar panel
    221: Channel(1, 1, _steady, decimals=0),  # SD card
    220: Channel(-75, -55, _steady, decimals=0, every=3),  # WiFi
    14: Channel(0, 30_000, _sun, decimals=0),
    55: Channel(12, 26, _warmth),
    56: Channel(78, 42, _warmth),
    53: Channel(38, 65, _bustle),
    58: Channel(100.3, 102.3, _steady),
    227: Channel(100.3, 102.3, _steady),
    113: Channel(10, 180, _bustle),
    112: Channel(400, 900, _bustle),
    # PMS5003: PM1, PM2.5, PM10, then particle counts from 0.3 to 10 µm
    89: Channel(3, 14, _bustle, decimals=0, every=5),
    87: Channel(4, 22, _bustle, decimals=0, every=5),
    88: Channel(6, 30, _bustle, decimals=0, every=5),
    165: Channel(600, 3000, _bustle, decimals=0, every=5),
    166: Channel(180, 900, _bustle, decimals=0, every=5),
    167: Channel(30, 160, _bustle, decimals=0, every=5),
    168: Channel(4, 20, _bustle, decimals=0, every=5),
    169: Channel(1, 6, _bustle, decimals=0, every=5),
    170: Channel(0, 3, _bustle, decimals=0, every=5),
    # SEN5X: PM1, PM2.5, PM4, PM10, particle counts from 0.5 to 10 µm, typical size, humidity, temperature, VOC, NOx
    193: Channel(3, 14, _bustle, every=5),
    194: Channel(4, 22, _bustle, every=5),
    195: Channel(5, 26, _bustle, every=5),
    196: Channel(6, 30, _bustle, every=5),
    197: Channel(180, 900, _bustle, every=5),
    198: Channel(210, 1050, _bustle, every=5),
    199: Channel(212, 1060, _bustle, every=5),
    200: Channel(213, 1065, _bustle, every=5),
    201: Channel(214, 1068, _bustle, every=5),
    202: Channel(0.45, 0.65, _bustle, every=5),
    203: Channel(72, 38, _warmth, every=5),
    204: Channel(14, 28, _warmth, every=5),
    205: Channel(80, 140, _bustle, every=5),
    206: Channel(1, 3, _bustle, every=5),
    # AS7331: UV A, B, C
    214: Channel(0, 3000, _sun),
    215: Channel(0, 150, _sun),
    216: Channel(0, 2, _sun),
}
# The keys by which a configuration names the components, as the catalogue has them.
KEYS = {
    10: "bat",
    14: "light",
    55: "t",
    56: "h",
    53: "noise_dba",
    58: "bar",
    227: "lps_p",
    113: "tvoc",
    112: "eco2",
    89: "pm_avg_1",
    87: "pm_avg_2.5",
    88: "pm_avg_10",
    165: "pm_pn0.3",
    166: "pm_pn0.5",
    167: "pm_pn1.0",
    168: "pm_pn2.5",
    169: "pm_pn5.0",
    170: "pm_pn10.0",
    214: "uv_a",
    215: "uv_b",
    216: "uv_c",
}
_EVERY_KIT = (10, 221, 220, 14, 55, 56, 53)
# The sensors each hardware version sends, in the firmware's order.
SENSORS = {
    "2.1": (*_EVERY_KIT, 58, 113, 112, 89, 87, 88, *range(165, 171)),
    "2.2": (*_EVERY_KIT, 227, *range(193, 207), 214, 215, 216),
    "2.3": (*_EVERY_KIT, 58, *range(193, 207), 214, 215, 216),
}


def plausible_value(sensor_id: int, time: datetime, kit_seed: int) -> float:
    """Return what this kit's sensor shows at an aware time, in the catalogue's unit and as precise as it is sent.

    The day is the UTC day. One kit's days differ by up to 10 % of the cycle, one reading from the next by up to 3 %.
    Raises KeyError for a sensor that no kit has by default.
    """
    channel = CHANNELS[sensor_id]
    seconds = int(time.timestamp())
    day, second = divmod(seconds, 86_400)
    passed = second / 86_400
    weather = (1 - passed) * _noise(kit_seed, day) + passed * _noise(kit_seed, day + 1)
    level = channel.cycle(passed * 24) * (1 + 0.1 * weather + 0.03 * _noise(kit_seed, sensor_id, seconds))
    return round(channel.rest + (channel.peak - channel.rest) * level, channel.decimals)


def _noise(*key: int) -> float:
    """Return the same number between -1 and 1 whenever it is asked for the same key, in any process."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=4).digest()) / 2**31 - 1


def _iso(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def raw_payload(time: datetime, values: dict[int, float]) -> bytes:
    """Return a group as the firmware prints it for `readings/raw`. The kit's buffer holds 511 bytes."""
    printed = (f"{sensor}:{value:.{CHANNELS[sensor].decimals}f}" for sensor, value in values.items())
    return f"{{t:{_iso(time)},{','.join(printed)}}}".encode()


def json_payload(time: datetime, values: dict[int, float], receipt_id: int | None = None) -> bytes:
    """Return a group for `readings`, which other senders use and the kit never does; an id asks for a receipt."""
    sensors = [{"id": sensor, "value": value} for sensor, value in values.items()]
    about = {} if receipt_id is None else {"id": receipt_id}
    return _json({**about, "data": [{"recorded_at": _iso(time), "sensors": sensors}]})


def error_payload(time: datetime, sensors: Collection[int]) -> bytes:
    """Return what a kit says of sensors that do not answer."""
    return _json(
        [
            {
                "time": _iso(time),
                "component": sensor,
                "code": "no_answer",
                "message": f"sensor {sensor} does not answer on its bus",
            }
            for sensor in sensors
        ]
    )


def report_payload(version: int, error: str | None) -> bytes:
    """Return what a kit says of a version of its configuration."""
    return _json({"version": version, **({"applied": True} if error is None else {"error": error})})


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Firmware(NamedTuple):
    """One kit's firmware."""

    token: str
    hardware: str  # a key of SENSORS
    interval_s: int
    seed: int

    components: Mapping[str, Mapping[str, Any]] = {}  # what its configuration says of them, by key

    def readings(self, time: datetime) -> dict[int, float]:
        """Return one group: the values by sensor, in the firmware's order, that the kit takes at this time."""
        return {
            sensor: plausible_value(sensor, time, self.seed)
            for sensor in SENSORS[self.hardware]
            if self._reads(sensor, int(time.timestamp()))
        }

    def _reads(self, sensor: int, second: int) -> bool:
        told = self.components.get(KEYS.get(sensor, f"sensor_{sensor}"), {})
        if not told.get("enabled", True):
            return False
        if told.get("interval") is None:
            return second // self.interval_s % CHANNELS[sensor].every == 0
        # with the first message of each interval of its own
        return bool(second // told["interval"] != (second - self.interval_s) // told["interval"])

    def configured(self, config: Mapping[str, Any]) -> "Firmware":
        """Return the firmware as a configuration wants it. Raises ValueError for what it cannot do."""
        interval_s = config.get("publish_interval") or self.interval_s
        if interval_s < 1:
            raise ValueError(f"publish_interval {interval_s}: my clock has whole seconds, so at least 1")
        return self._replace(interval_s=round(interval_s), components=config.get("components") or {})

    def hello(self) -> bytes:
        """Return what a kit says when it is set up."""
        return f"{self.token}:Hello".encode()

    def info(self, time: datetime) -> bytes:
        """Return what a kit says of itself once a boot; its serial number and address are made from its token."""
        serial = blake2b(self.token.encode(), digest_size=16).hexdigest().upper()
        return _json(
            {
                "time": _iso(time),
                "hw_ver": self.hardware,
                "id": serial,
                "sam_ver": f"0.9.11-910fb56-master-sck{self.hardware.replace('.', '')}_air",
                "sam_bd": "2026-06-07T20:09:55Z",
                "mac": f"5E:CF:7F:{serial[:2]}:{serial[2:4]}:{serial[4:6]}",
                "esp_ver": "0.9.9-910fb56-master",
                "esp_bd": "2026-06-07T20:09:55Z",
                "rcause": "POR",
            }
        )
