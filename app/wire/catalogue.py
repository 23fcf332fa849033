"""Sensors, measurements and kits as JSON."""

from sql import Row


def measurement_json(row: Row) -> Row | None:
    """Return the measurement that a joined row holds in columns `measurement_…`, or None."""
    if row["measurement_id"] is None:
        return None
    keys = ("id", "uuid", "name", "description", "unit", "definition")
    return {key: row[f"measurement_{key}"] for key in keys}
