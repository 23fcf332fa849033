"""Sensors: the catalogue's entries, each a channel of a chip."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.filtering import INTEGER, TEXT, TIME, UUID_, Filterable, FiltersField
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.catalogue import SENSOR_COLUMNS, insert_sensor, wrong_fields
from app.database import connection
from app.errors import invalid, not_found
from app.policy import admins_only
from app.schemas.catalogue import NewSensor, Sensor, SensorChanges, Unit
from app.schemas.paging import Paging
from app.units import UNITS
from app.wire.catalogue import sensor_json
from sql import DictConnection, Row, queries
from sql.selecting import select_ids

blueprint = Blueprint("sensors", __name__, description="Sensors: what a device may be made of")

_FILTERABLE = Filterable(
    {
        "id": INTEGER,
        "uuid": UUID_,
        "parent_id": INTEGER,
        "ancestry": TEXT,
        "name": TEXT,
        "description": TEXT,
        "unit": TEXT,
        "default_key": TEXT,
        "measurement_id": INTEGER,
        "created_at": TIME,
        "updated_at": TIME,
    }
)


class SensorsQuery(Paging):
    q = FiltersField(_FILTERABLE)


@blueprint.get("/sensors")
@blueprint.arguments(SensorsQuery, location="query", error_status_code=400)
@blueprint.response(200, Sensor(many=True), headers=PAGE_HEADERS)
def index(query: dict[str, Any]) -> Response:
    """List sensors; those that sit on a chip or board have its id as `parent_id`."""
    page, filters = Page.of(query), query["q"]
    with connection() as conn:
        ids, total = select_ids(conn, "sensors_listed", {}, filters.condition, filters.order, **page.window)
        return answer_page([sensor_json(row) for row in queries.sensors_by_ids(conn, ids=ids)], total, page)


@blueprint.get("/sensors/<int:sensor_id>")
@blueprint.response(200, Sensor)
@blueprint.alt_response(404, description="there is no such sensor")
def show(sensor_id: int) -> Response:
    """Show a sensor."""
    with connection() as conn:
        return answer(sensor_json(_find(conn, sensor_id)))


@blueprint.post("/sensors")
@blueprint.arguments(NewSensor)
@blueprint.response(201, Sensor)
@blueprint.alt_response(422, description="a field is missing, malformed or unknown")
@admins_only
def create(fields: dict[str, Any]) -> Response:
    """Add a sensor to the catalogue. Others than admins propose sensors within a kit."""
    with connection() as conn, conn.transaction():
        _check(conn, fields)
        sensor_id = insert_sensor(conn, fields)
        _set_tags(conn, sensor_id, fields)
        return answer(sensor_json(_find(conn, sensor_id)), 201)


@blueprint.route("/sensors/<int:sensor_id>", methods=["PATCH", "PUT"])
@blueprint.arguments(SensorChanges)
@blueprint.response(200, Sensor)
@blueprint.alt_response(404, description="there is no such sensor")
@blueprint.alt_response(422, description="a field is malformed or unknown")
@admins_only
def change(fields: dict[str, Any], sensor_id: int) -> Response:
    """Change what is sent of a sensor."""
    with connection() as conn, conn.transaction():
        parent_id = fields.get("parent_id")
        if parent_id is not None:
            queries.hold_parents_of_sensors(conn)
        queries.hold_sensor(conn, id=sensor_id)
        columns = {column: _find(conn, sensor_id)[column] for column in SENSOR_COLUMNS}
        if parent_id is not None and queries.sensor_is_within(conn, id=parent_id, ancestor_id=sensor_id):
            invalid(422, parent_id=f"sensor {parent_id} sits on this one, or is it")
        changes = {column: value for column, value in fields.items() if column in columns}
        columns |= changes
        _check(conn, columns)
        queries.update_sensor(conn, id=sensor_id, **columns)
        _set_tags(conn, sensor_id, fields)
        return answer(sensor_json(_find(conn, sensor_id)))


@blueprint.get("/units")
@blueprint.response(200, Unit(many=True))
def units() -> Response:
    """List the units that a sensor or a measurement may have."""
    return answer([{"unit": unit, "ucum": code} for unit, code in UNITS.items()])


def _find(conn: DictConnection, sensor_id: int) -> Row:
    rows: list[Row] = queries.sensors_by_ids(conn, ids=[sensor_id])
    if not rows:
        not_found("sensor", sensor_id)
    return rows[0]


def _check(conn: DictConnection, fields: Row) -> None:
    errors = dict(wrong_fields(conn, fields))
    if errors:
        invalid(422, **errors)


def _set_tags(conn: DictConnection, sensor_id: int, fields: Row) -> None:
    if "tags" not in fields:
        return
    queries.delete_sensor_tags(conn, sensor_id=sensor_id)
    known = {row["name"].lower() for row in queries.insert_sensor_tags(conn, sensor_id=sensor_id, names=fields["tags"])}
    unknown = [name for name in fields["tags"] if name.lower() not in known]
    if unknown:
        invalid(422, tags=f"there is no tag {', '.join(unknown)[:200]}: see GET /v0/tag_sensors")
