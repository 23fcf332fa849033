"""Measurements: what sensors measure."""

from typing import Any

import psycopg
from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.catalogue import insert_measurement
from app.database import connection
from app.errors import invalid, not_found
from app.policy import admins_only
from app.schemas.catalogue import Measurement, MeasurementChanges, NewMeasurement
from app.schemas.paging import Paging
from sql import DictConnection, Row, queries
from sql.selecting import select_ids

blueprint = Blueprint("measurements", __name__, description="Measurements: what sensors measure")


@blueprint.get("/measurements")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Measurement(many=True), headers=PAGE_HEADERS)
def index(query: dict[str, Any]) -> Response:
    """List measurements."""
    page = Page.of(query)
    with connection() as conn:
        ids, total = select_ids(conn, "measurements_listed", {}, **page.window)
        return answer_page(queries.measurements_by_ids(conn, ids=ids), total, page)


@blueprint.get("/measurements/<int:measurement_id>")
@blueprint.response(200, Measurement)
@blueprint.alt_response(404, description="there is no such measurement")
def show(measurement_id: int) -> Response:
    """Show a measurement."""
    with connection() as conn:
        return answer(_find(conn, measurement_id))


@blueprint.post("/measurements")
@blueprint.arguments(NewMeasurement)
@blueprint.response(201, Measurement)
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
@admins_only
def create(fields: dict[str, Any]) -> Response:
    """Add a measurement to the catalogue. Others than admins propose measurements within a kit."""
    with connection() as conn:
        measurement_id = insert_measurement(conn, fields)
        if measurement_id is None:
            invalid(422, name="is another measurement's")
        return answer(_find(conn, measurement_id), 201)


@blueprint.route("/measurements/<int:measurement_id>", methods=["PATCH", "PUT"])
@blueprint.arguments(MeasurementChanges)
@blueprint.response(200, Measurement)
@blueprint.alt_response(404, description="there is no such measurement")
@blueprint.alt_response(422, description="a field is malformed or taken")
@admins_only
def change(fields: dict[str, Any], measurement_id: int) -> Response:
    """Change what is sent of a measurement."""
    with connection() as conn, conn.transaction():
        queries.hold_measurement(conn, id=measurement_id)
        found = _find(conn, measurement_id)
        columns = {column: found[column] for column in ("name", "description", "unit", "definition")}
        try:
            queries.update_measurement(conn, id=measurement_id, **{**columns, **fields})
        except psycopg.errors.UniqueViolation:
            invalid(422, name="is another measurement's")
        return answer(_find(conn, measurement_id))


def _find(conn: DictConnection, measurement_id: int) -> Row:
    rows: list[Row] = queries.measurements_by_ids(conn, ids=[measurement_id])
    if not rows:
        not_found("measurement", measurement_id)
    return rows[0]
