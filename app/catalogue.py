"""What people who add to the catalogue share: those who propose a sensor in a blueprint, and admins."""

from collections.abc import Iterator

from app.units import UNITS
from sql import DictConnection, Row, queries

SENSOR_COLUMNS = (
    *("parent_id", "measurement_id", "name", "description", "default_key", "unit", "unit_definition", "datasheet"),
    *("minimum", "maximum", "stuck_after"),
)


def wrong_fields(conn: DictConnection, sensor: Row) -> Iterator[tuple[str, str]]:
    """Yield (field, reason) for a parent or a measurement that does not exist, and for a range without a value."""
    parent_id, measurement_id = sensor.get("parent_id"), sensor.get("measurement_id")
    if parent_id is not None and not queries.sensor_exists(conn, id=parent_id):
        yield "parent_id", f"there is no sensor {parent_id}"
    if measurement_id is not None and not queries.measurement_exists(conn, id=measurement_id):
        yield "measurement_id", f"there is no measurement {measurement_id}"
    minimum, maximum = sensor.get("minimum"), sensor.get("maximum")
    if minimum is not None and maximum is not None and minimum >= maximum:
        yield "minimum", f"{minimum:g} is not below the maximum, {maximum:g}"


def insert_sensor(conn: DictConnection, sensor: Row, proposed_by: int | None = None) -> int:
    """Make a sensor from the fields of SensorFields, and return its id."""
    columns = {column: sensor.get(column) for column in SENSOR_COLUMNS}
    columns["description"] = columns["description"] or ""
    columns["unit_definition"] = columns["unit_definition"] or UNITS.get(columns["unit"] or "")
    sensor_id: int = queries.insert_sensor(conn, **columns, proposed_by=proposed_by)
    return sensor_id


def insert_measurement(conn: DictConnection, measurement: Row) -> int | None:
    """Make a measurement from the fields of MeasurementChanges; None where another has its name."""
    measurement_id: int | None = queries.insert_measurement(
        conn,
        name=measurement["name"],
        description=measurement.get("description", ""),
        unit=measurement.get("unit"),
        definition=measurement.get("definition"),
    )
    return measurement_id
