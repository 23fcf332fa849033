"""Sensors, measurements and kits as JSON."""

from collections.abc import Iterable, Mapping

from sql import Row

_SENSOR = (
    *("id", "uuid", "parent_id", "name", "description", "default_key", "unit", "unit_definition", "datasheet"),
    *("minimum", "maximum", "stuck_after"),
)
_MEASUREMENT = ("id", "uuid", "name", "description", "unit", "definition")


def measurement_json(row: Row) -> Row | None:
    """Return the measurement that a joined row holds in columns `measurement_…`, or None."""
    if row["measurement_id"] is None:
        return None
    return {key: row[f"measurement_{key}"] for key in _MEASUREMENT}


def sensor_json(row: Row) -> Row:
    """Return a Sensor; the row comes from sensors_by_ids."""
    return {
        **{key: row[key] for key in _SENSOR},
        "equation": row["equation"],
        "tags": row["tags"],
        "measurement": measurement_json(row),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def kit_json(kit: Row, components: Iterable[Row], sensors: Mapping[int, Row]) -> Row:
    """Return a Kit; `sensors`: rows of the components' sensors by id."""
    return {
        "id": kit["id"],
        "uuid": kit["uuid"],
        "slug": kit["slug"],
        "name": kit["name"],
        "description": kit["description"],
        "owner_id": kit["owner_id"],
        "publish_interval": kit["publish_interval"],
        "settings": kit["settings"],
        "settings_schema": kit["settings_schema"],
        "components": [
            {
                "sensor_id": component["sensor_id"],
                "key": component["key"],
                "interval": component["interval"],
                "enabled": component["enabled"],
                "equation": component["equation"],
                "sensor": sensor_json(sensors[component["sensor_id"]]),
            }
            for component in components
        ],
        "created_at": kit["created_at"],
        "updated_at": kit["updated_at"],
    }
