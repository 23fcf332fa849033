"""What there is of a device's readings, as JSON."""

from collections.abc import Sequence
from datetime import datetime

from sql import Row


def summary_json(device_id: int, complete_as_of: datetime, components: Sequence[Row]) -> Row:
    """Return a Summary of rows that are its components already."""
    heard = [component for component in components if component["count"]]
    return {
        "device_id": device_id,
        "count": sum(component["count"] for component in components),
        "first_reading_at": min((component["first_reading_at"] for component in heard), default=None),
        "last_reading_at": max((component["last_reading_at"] for component in heard), default=None),
        "complete_as_of": complete_as_of,
        "components": components,
    }
