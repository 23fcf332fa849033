"""Read what Smart Citizen Kits 1.x send in the header X-SmartCitizenData. Pure."""

from typing import Any

import msgspec

from ingestor.payload import Readings, parse_reading


def parse_legacy(header: str) -> list[Readings]:
    """Read `[{"temp":"25768","hum":"29116",…,"timestamp":"2014-03-05 7:08:09"}, …]`: sensors by their keys.

    Raises ValueError for what is no such list.
    """
    try:
        readings = msgspec.json.decode(header, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(f"not a list of readings: {error}") from None
    return [
        parse_reading(
            {
                "recorded_at": reading.get("timestamp"),
                "sensors": [{"id": key, "value": raw} for key, raw in reading.items() if key != "timestamp"],
            }
        )
        for reading in readings
    ]
