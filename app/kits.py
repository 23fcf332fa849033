"""From what a client writes of a kit's components to the sensors they stand for, made where they are new."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count

from werkzeug.exceptions import HTTPException

from app.calibrations import add_calibration
from app.catalogue import insert_measurement, insert_sensor, wrong_fields
from app.errors import refuse
from sql import DictConnection, Row, queries


def set_components(
    conn: DictConnection, kit_id: int, components: Sequence[Row], user_id: int, *, valid_from: datetime | None = None
) -> int:
    """Give a kit these components, as KitComponentRequest loads them, and no others; call it in a transaction.

    Their equations hold from `valid_from` on, by default from now. Returns for how many components of devices history
    is to be computed anew: call begin_redos after the commit. Answers 422 with a reason by field where a sensor or
    measurement is unknown, two components clash, or an equation is none.
    """
    if any(component.get("equation") is not None for component in components):
        # Before a new sensor moves the ingest version, which who archives a device waits for.
        queries.hold_writers(conn)
    errors: dict[str, list[str]] = {}
    named = _Named(conn, components)
    sensors: list[tuple[int, str | None]] = []  # (id, default key)
    for number, component in enumerate(components):
        try:
            if "sensor" in component:
                sensors.append(_propose(conn, component["sensor"], user_id))
            else:
                sensors.append(named.find(component))
        except _FieldError as error:
            errors[f"components.{number}.{error.field}"] = [str(error)]
    if not errors:
        errors = dict(_clashes(components, [sensor_id for sensor_id, _ in sensors]))
    if errors:
        message = "; ".join(f"{field}: {reasons[0]}" for field, reasons in errors.items())
        refuse(422, message, errors=errors)
    queries.delete_kit_components(conn, kit_id=kit_id)
    queries.insert_kit_components(
        conn,
        kit_id=kit_id,
        sensor_ids=[sensor_id for sensor_id, _ in sensors],
        keys=_keys(components, sensors),
        intervals=[component["interval"] for component in components],
        enabled=[component["enabled"] for component in components],
    )
    in_force = {row["sensor_id"]: row["equation"] for row in queries.components_of_kits(conn, kit_ids=[kit_id])}
    redos = 0
    for number, (component, (sensor_id, _)) in enumerate(zip(components, sensors, strict=True)):
        if component.get("equation", in_force[sensor_id]) == in_force[sensor_id]:
            continue
        try:
            _, begun = add_calibration(
                conn,
                sensor_id=sensor_id,
                equation=component["equation"],
                valid_from=valid_from,
                author_id=user_id,
                kit_id=kit_id,
            )
        except HTTPException as error:
            reason = str(error.description)
            refuse(422, reason, errors={f"components.{number}.equation": [reason.removeprefix("equation: ")]})
        redos += begun
    return redos


class _FieldError(ValueError):
    """What is wrong with one field of a component."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class _Named:
    """The sensors that components name, read at once."""

    def __init__(self, conn: DictConnection, components: Iterable[Row]) -> None:
        asked = {
            way: [component[way] for component in components if way in component]
            for way in ("sensor_id", "sensor_uuid", "sensor_key")
        }
        self._rows = queries.sensors_named(
            conn, ids=asked["sensor_id"], uuids=asked["sensor_uuid"], keys=asked["sensor_key"]
        )

    def find(self, component: Row) -> tuple[int, str | None]:
        way = next(way for way in ("sensor_id", "sensor_uuid", "sensor_key") if way in component)
        column = {"sensor_id": "id", "sensor_uuid": "uuid", "sensor_key": "default_key"}[way]
        found = [row for row in self._rows if row[column] == component[way]]
        if not found:
            raise _FieldError(way, f"there is no sensor {str(component[way])[:100]}")
        if len(found) > 1:
            ids = ", ".join(str(row["id"]) for row in found)
            raise _FieldError(way, f"{component[way]} is the default key of the sensors {ids}: send sensor_id")
        return found[0]["id"], found[0]["default_key"]


def _propose(conn: DictConnection, sensor: Row, user_id: int) -> tuple[int, str | None]:
    """Make a new sensor, with its measurement where that is new too."""
    fields = dict(sensor)
    measurement = fields.pop("measurement", None)
    key = fields.get("default_key")
    if key is not None and (taken := queries.sensors_named(conn, ids=[], uuids=[], keys=[key])):
        # a second owner would make the key ambiguous for everybody who sends readings by it
        raise _FieldError("sensor.default_key", f"{key} is that of sensor {taken[0]['id']}: use it, or another key")
    for field, reason in wrong_fields(conn, fields):
        raise _FieldError(f"sensor.{field}", reason)
    if measurement is not None:
        if fields.get("measurement_id") is not None:
            raise _FieldError("sensor.measurement_id", "send this or measurement, not both")
        fields["measurement_id"] = _measurement_id(conn, measurement)
    return insert_sensor(conn, fields, proposed_by=user_id), key


def _measurement_id(conn: DictConnection, measurement: Row) -> int:
    found: int | None = queries.measurement_id_by_name(conn, name=measurement["name"])
    if found is None:
        found = insert_measurement(conn, measurement)
    # null: somebody made it between the two
    return found if found is not None else int(queries.measurement_id_by_name(conn, name=measurement["name"]))


def _clashes(components: Sequence[Row], sensor_ids: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """Say where a sensor or a key stands twice."""
    for number, (component, sensor_id) in enumerate(zip(components, sensor_ids, strict=True)):
        if sensor_id in sensor_ids[:number]:
            reason = f"sensor {sensor_id} is in it already: a second chip of its kind needs a sensor of its own"
            yield f"components.{number}.sensor_id", [reason]
        if component["key"] is not None and any(component["key"] == other["key"] for other in components[:number]):
            yield f"components.{number}.key", [f"{component['key']} is another component's"]


def _keys(components: Sequence[Row], sensors: Sequence[tuple[int, str | None]]) -> list[str]:
    """Return the components' keys: those given, else the sensors' default keys, numbered from the second one on."""
    taken = {component["key"] for component in components if component["key"] is not None}
    keys = []
    for component, (sensor_id, default_key) in zip(components, sensors, strict=True):
        key = component["key"]
        if key is None:
            base = default_key or f"sensor_{sensor_id}"
            key = next(name for name in _numbered(base) if name not in taken)
            taken.add(key)
        keys.append(key)
    return keys


def _numbered(key: str) -> Iterator[str]:
    yield key
    yield from (f"{key}_{number}" for number in count(2))
