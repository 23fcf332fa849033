"""Read what Smart Citizen Kits 1.x send in the header X-SmartCitizenData. Pure."""

from typing import Any

from ingestor.loose_json import parse_json
from ingestor.payload import Flaw, Readings, Reason, parse_reading


def parse_legacy(header: str) -> list[Readings]:
    """Read `[{"temp":"25768","hum":"29116",…,"timestamp":"2014-03-05 7:08:09"}, …]`: sensors by their keys.

    Never raises; a header that is no list is one flaw.
    """
    readings = parse_json(header.encode(errors="replace"))
    if not isinstance(readings, list):
        flaw = Flaw(header.encode(errors="replace"), Reason.UNREADABLE, "expected a list of readings by sensor key")
        return [Readings([], [flaw])]
    return [_read(reading) for reading in readings]


def _read(reading: Any) -> Readings:
    if not isinstance(reading, dict):
        return parse_reading(reading)  # which says what is wrong with it
    sensors = [{"id": key, "value": raw} for key, raw in reading.items() if key != "timestamp"]
    return parse_reading({"recorded_at": reading.get("timestamp"), "sensors": sensors})
