"""Redos of history: where they stand, and how to ask for one and cancel it."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import fields, validate

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in
from app.calibrations import begin_redos
from app.database import connection
from app.errors import invalid, not_found
from app.policy import require_owner, viewer
from app.schemas.base import ID, WholeNumber
from app.schemas.calibrations import EARLIEST, REDO_STATES, NewRecalibration, Recalibration
from app.schemas.paging import Paging
from app.wire.calibrations import recalibration_json
from sql import DictConnection, Row, queries
from sql.selecting import Column, Order, select_ids

blueprint = Blueprint(
    "recalibrations", __name__, description="Redos of history: values computed anew from what was received"
)


class RecalibrationsQuery(Paging):
    device_id = WholeNumber(load_default=None, validate=ID, metadata={"description": "of one device", "example": 1})
    calibration_id = WholeNumber(
        load_default=None, validate=ID, metadata={"description": "that this version began", "example": 10000}
    )
    state = fields.String(
        load_default=None,
        validate=validate.OneOf(REDO_STATES),
        metadata={"description": "that stand so", "example": "running"},
    )


@blueprint.get("/recalibrations")
@blueprint.arguments(RecalibrationsQuery, location="query", error_status_code=400)
@blueprint.response(200, Recalibration(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List the redos of one's devices, an admin those of all, the newest first."""
    page = Page.of(query)
    asked = {key: query[key] for key in ("device_id", "calibration_id", "state")}
    with connection() as conn:
        ids, total = select_ids(
            conn,
            "recalibrations_listed",
            {**asked, **viewer()},
            order=[Order(Column("id"), descending=True)],
            **page.window,
        )
        rows = queries.recalibrations_by_ids(conn, ids=ids)
    return answer_page([recalibration_json(row) for row in rows], total, page)


@blueprint.post("/recalibrations")
@blueprint.arguments(NewRecalibration)
@blueprint.response(201, Recalibration)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(422, description="a field is malformed, or there is no such component with readings")
@signed_in
def create(new: dict[str, Any]) -> Response:
    """Compute a component's values anew, as after a redo that was cancelled, or when the device got another kit.

    A new calibration does this by itself.
    """
    with connection() as conn:
        device: Row | None = queries.device_readable(conn, id=new["device_id"])
        if device is None:
            invalid(422, device_id=f"there is no device {new['device_id']}")
        require_owner(device)
        redo_id = queries.insert_recalibration(
            conn,
            device_id=new["device_id"],
            sensor_id=new["sensor_id"],
            start=new["start"] or EARLIEST,
            before=new["end"],
        )
        if redo_id is None:
            invalid(422, sensor_id=f"device {new['device_id']} has no readings of sensor {new['sensor_id']}")
        redo = _find(conn, redo_id)
    begin_redos()
    return answer(recalibration_json(redo), 201)


@blueprint.get("/recalibrations/<int:recalibration_id>")
@blueprint.response(200, Recalibration)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such redo")
@signed_in
def show(recalibration_id: int) -> Response:
    """Show how far a redo has come."""
    with connection() as conn:
        redo = _find(conn, recalibration_id)
    require_owner(redo, "redo")
    return answer(recalibration_json(redo))


@blueprint.delete("/recalibrations/<int:recalibration_id>")
@blueprint.response(200, Recalibration)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such redo")
@signed_in
def cancel(recalibration_id: int) -> Response:
    """Cancel a redo, at once or after the slice it is at; one that has ended stays as it is.

    What it has computed stays. Each datapoint knows its version, and POST /v0/recalibrations goes over them again.
    """
    with connection() as conn:
        require_owner(_find(conn, recalibration_id), "redo")
        queries.cancel_recalibration(conn, id=recalibration_id)
        redo = _find(conn, recalibration_id)
    return answer(recalibration_json(redo))


def _find(conn: DictConnection, redo_id: int) -> Row:
    redos = queries.recalibrations_by_ids(conn, ids=[redo_id])
    if not redos:
        not_found("recalibration", redo_id)
    redo: Row = redos[0]
    return redo
