"""Read SenML (RFC 8428) in JSON. Pure.

A record's name, after the base name, ends with the sensor's id or key: `urn:dev:mac:0024befffe804ff1:t`, `kitchen/55`.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from ingestor.payload import Readings, parse_reading

_RELATIVE_BELOW = 2**28  # RFC 8428, 4.5.3: smaller times are relative to now
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEASURED = ("n", "v", "vs", "vb", "vd", "s")  # a record without any of these sets base values alone


def parse_senml(payload: bytes, now: datetime) -> list[Readings]:
    """Return what each record says; `now` is UTC. Raises ValueError for what is no pack of records."""
    try:
        records = msgspec.json.decode(payload, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"not a SenML pack: {error}") from None
    base: dict[str, Any] = {"bn": "", "bt": 0, "bv": 0}
    return [_read(record, base, now) for record in records]


def _read(record: dict[str, Any], base: dict[str, Any], now: datetime) -> Readings:
    base.update((name, record[name]) for name in base if name in record)
    if not any(name in record for name in _MEASURED):
        return Readings([], [])
    time = _sum(base["bt"], record.get("t", 0))
    if time is not None and time < _RELATIVE_BELOW:
        time += (now - _EPOCH).total_seconds()
    sensor = re.split(r"[/:]", f"{base['bn']}{record.get('n', '')}")[-1]
    value = _sum(base["bv"], record.get("v"))
    # strings, booleans and data are no datapoints: "" is no number, and so is kept aside
    return parse_reading(
        {"recorded_at": time, "sensors": [{"id": sensor or None, "value": "" if value is None else value}]}
    )


def _sum(base: Any, own: Any) -> float | None:
    try:
        return float(base + own) if {type(base), type(own)} <= {int, float} else None
    except OverflowError:  # an integer beyond what a double holds
        return None
