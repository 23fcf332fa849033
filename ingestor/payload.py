"""Read what devices send into readings as received. Pure: no clock, no connection.

Wire format: the Smart Citizen platform's JSON and the compact grammar of its kits' firmware (`readings/raw`).
"""

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ingestor.loose_json import decode
from ingestor.times import parse_time


class Datapoint(NamedTuple):
    """One value of one component at one time, as received."""

    sensor: int | str  # a sensor's id, or a key
    time: datetime  # UTC
    raw: float


class Reason(StrEnum):
    """Why something is in quarantine."""

    UNREADABLE = "unreadable"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - not a password
    UNKNOWN_SENSOR = "unknown_sensor"
    NO_TIME = "no_time"
    IMPOSSIBLE_TIME = "impossible_time"
    NOT_A_NUMBER = "not_a_number"
    UNKNOWN_VERSION = "unknown_version"
    REFUSED_BY_DATABASE = "refused_by_database"


class Flaw(NamedTuple):
    """Something that is no datapoint: the smallest part at fault, so that its neighbours are kept."""

    item: bytes
    reason: Reason
    detail: str


class Readings(NamedTuple):
    datapoints: list[Datapoint]
    flaws: list[Flaw]


def parse_each(payload: bytes) -> tuple[list[Readings], str | int | None]:
    """Read a JSON payload: what each element of `data` says, and the id under which the sender wants a receipt.

    Never raises; a payload that cannot be read at all is one flaw.
    """
    receipt_id = None
    try:
        decoded = decode(payload)
        if isinstance(decoded, dict) and type(decoded.get("id")) in (str, int):
            receipt_id = decoded["id"]
        data = _data_of(decoded)
    except ValueError as error:
        return [Readings([], [Flaw(payload, Reason.UNREADABLE, str(error))])], receipt_id
    return [parse_reading(reading) for reading in data], receipt_id


def parse_reading(reading: Any) -> Readings:
    """Read {"recorded_at": TIME, "sensors": [{"id": INT or KEY, "value": NUMBER}, …]}. Never raises."""
    readings = Readings([], [])
    sensors = reading.get("sensors") if isinstance(reading, dict) else None
    if not isinstance(sensors, list):
        flaw = Flaw(_encode(reading), Reason.UNREADABLE, "expected recorded_at and a list of sensors")
        return Readings([], [flaw])
    time = _time_of(reading.get("recorded_at"), reading, readings)
    if time is None:
        return readings
    for item in sensors:
        sensor, raw = (item.get("id"), item.get("value")) if isinstance(item, dict) else (None, None)
        if not isinstance(sensor, int | str) or isinstance(sensor, bool):
            detail = "expected a sensor's id or key, and a value"
            readings.flaws.append(Flaw(encode_item(time, item), Reason.UNREADABLE, detail))
        elif raw is not None:  # null: nothing was measured
            _add(sensor, time, raw, readings)
    return readings


# {t:2026-01-15T08:30:00Z,55:21.4,56:48,10:97} - not JSON: bare keys, commas optional, `t` anywhere.
_PAIR = re.compile(rb"\s*(t|-?\d{1,100})\s*:\s*([^\s,{}]+)\s*,?")


def parse_raw(payload: bytes) -> Readings:
    """Read what kits publish on `readings/raw`. Never raises."""
    text, readings = payload.strip(), Readings([], [])
    time_text, values = None, []
    try:
        for key, value in _pairs(text):
            if key == b"t":
                time_text = value.decode("ascii", "replace")
            else:
                values.append((int(key), value.decode("ascii", "replace")))
    except ValueError as error:
        return Readings([], [Flaw(payload, Reason.UNREADABLE, str(error))])
    if not values and time_text is None:
        return readings
    time = _time_of(time_text, text.decode("ascii", "replace"), readings)
    if time is not None:
        for sensor, raw in values:
            if raw != "null":
                _add(sensor, time, raw, readings)
    return readings


def _data_of(decoded: Any) -> list[Any]:
    data = decoded.get("data") if isinstance(decoded, dict) else None
    if not isinstance(data, list):
        raise ValueError('expected {"data": [{"recorded_at": …, "sensors": […]}]}')
    return data


def _time_of(recorded_at: Any, reading: Any, into: Readings) -> datetime | None:
    try:
        if type(recorded_at) in (str, int, float) and recorded_at != "":
            return parse_time(recorded_at)
        reason, detail = Reason.NO_TIME, "the reading has no recorded_at"
    except ValueError as error:
        reason, detail = Reason.IMPOSSIBLE_TIME, str(error)
    into.flaws.append(Flaw(_encode(reading), reason, detail))
    return None


def _pairs(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not (text.startswith(b"{") and text.endswith(b"}")):
        raise ValueError("expected {t:TIME,ID:VALUE,…}")
    text, position = text[1:-1], 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            if text[position:].strip():
                raise ValueError(f"expected ID:VALUE at byte {position + 2}")  # the first one is the brace
            return
        yield match[1], match[2]
        position = match.end()


def _add(sensor: int | str, time: datetime, raw: Any, into: Readings) -> None:
    try:
        # float(True) is 1.0, and float("1_0") is 10.0: neither was meant
        number = float(raw) if type(raw) in (int, float, str) and "_" not in str(raw) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        into.datapoints.append(Datapoint(sensor, time, number))
    else:
        item = {"id": sensor, "value": raw}
        into.flaws.append(Flaw(encode_item(time, item), Reason.NOT_A_NUMBER, f"{str(raw)[:40]!r} is no finite number"))


def encode_item(time: datetime, item: Any) -> bytes:
    """Give one value the shape of a whole reading, so that it can be read again once its cause is gone."""
    return _encode({"recorded_at": time.isoformat().replace("+00:00", "Z"), "sensors": [item]})


def _encode(value: Any) -> bytes:
    return value.encode(errors="replace") if isinstance(value, str) else json.dumps(value).encode()
