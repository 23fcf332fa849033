"""Calibrations: the versions of an equation, of a device's component, a kit's, or a sensor wherever it sits."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.devices import existing
from app.api.kits import find_kit
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.calibrations import add_calibration, begin_redos, check_inputs, read_equation
from app.database import connection
from app.errors import invalid, not_found
from app.policy import admins_only, require_owner, require_readable
from app.preview import TooManyReadingsError, preview_of
from app.schemas.base import ID, WholeNumber
from app.schemas.calibrations import (
    AddedCalibration,
    Calibration,
    NewCalibration,
    NewPreview,
    NewSensorCalibration,
    Preview,
)
from app.schemas.paging import Paging
from app.wire.calibrations import calibration_json
from sql import DictConnection, Row, queries
from sql.selecting import AllOf, Column, Operator, Order, Test, select_ids

blueprint = Blueprint("calibrations", __name__, description="Calibrations: how raw becomes value, version by version")

_LONGEST_PREVIEW = timedelta(days=31)


class CalibrationsQuery(Paging):
    sensor_id = WholeNumber(
        load_default=None, validate=ID, metadata={"description": "of this sensor only", "example": 56}
    )


@blueprint.get("/devices/<int:device_id>/calibrations")
@blueprint.arguments(CalibrationsQuery, location="query", error_status_code=400)
@blueprint.response(200, Calibration(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(403, description="the device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
def of_device(query: dict[str, Any], device_id: int) -> Response:
    """List every version that may bear on a device's components: its own, its kit's and its sensors'.

    The nearest scope comes first, and there the latest: of those valid at a reading's time the first makes its value.
    """
    with connection() as conn:
        require_readable(existing(conn, device_id))
        return _listed(conn, "calibrations_of_device", {"device_id": device_id}, query)


@blueprint.get("/kits/<kit>/calibrations")
@blueprint.arguments(CalibrationsQuery, location="query", error_status_code=400)
@blueprint.response(200, Calibration(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(404, description="there is no such kit")
def of_kit(query: dict[str, Any], kit: str) -> Response:
    """List the versions of a kit's components."""
    with connection() as conn:
        return _listed(conn, "calibrations_of_kit", {"kit_id": find_kit(conn, kit)["id"]}, query)


@blueprint.get("/sensors/<int:sensor_id>/calibrations")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Calibration(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(404, description="there is no such sensor")
def of_sensor(query: dict[str, Any], sensor_id: int) -> Response:
    """List the versions of a sensor wherever it sits."""
    with connection() as conn:
        _require_sensor(conn, sensor_id)
        return _listed(conn, "calibrations_of_sensor", {"sensor_id": sensor_id}, query)


@blueprint.post("/devices/<int:device_id>/calibrations")
@blueprint.arguments(NewCalibration)
@blueprint.response(201, AddedCalibration)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.alt_response(422, description="a field is malformed, or the equation is none; the message says where")
@signed_in
def add_to_device(new: dict[str, Any], device_id: int) -> Response:
    """Add a version for a component of a device; the values of what it holds for are computed anew.

    It supersedes the version of the same `valid_from`, and follows earlier ones. With `equation: null` the kit's or
    the sensor's holds again from there on.
    """
    with connection() as conn, conn.transaction():
        require_owner(existing(conn, device_id))
        _component(conn, device_id, sensor_id=new["sensor_id"])
        added = _add(conn, new, device_id=device_id)
    return _added(added)


@blueprint.post("/kits/<kit>/calibrations")
@blueprint.arguments(NewCalibration)
@blueprint.response(201, AddedCalibration)
@blueprint.alt_response(403, description="the kit is not yours")
@blueprint.alt_response(404, description="there is no such kit")
@blueprint.alt_response(422, description="a field is malformed, or the equation is none; the message says where")
@signed_in
def add_to_kit(new: dict[str, Any], kit: str) -> Response:
    """Add a version for a component of every device of a kit; values are computed anew."""
    with connection() as conn, conn.transaction():
        found = find_kit(conn, kit)
        require_owner(found, "kit")
        if not queries.kit_component_exists(conn, kit_id=found["id"], sensor_id=new["sensor_id"]):
            invalid(422, sensor_id=f"kit {found['slug']} has no component of sensor {new['sensor_id']}")
        added = _add(conn, new, kit_id=found["id"])
    return _added(added)


@blueprint.post("/sensors/<int:sensor_id>/calibrations")
@blueprint.arguments(NewSensorCalibration)
@blueprint.response(201, AddedCalibration)
@blueprint.alt_response(404, description="there is no such sensor")
@blueprint.alt_response(422, description="a field is malformed, or the equation is none; the message says where")
@admins_only
def add_to_sensor(new: dict[str, Any], sensor_id: int) -> Response:
    """Add a version for a sensor wherever it sits; values are computed anew."""
    with connection() as conn, conn.transaction():
        _require_sensor(conn, sensor_id)
        added = _add(conn, {**new, "sensor_id": sensor_id})
    return _added(added)


@blueprint.post("/devices/<int:device_id>/calibrations/preview")
@blueprint.arguments(NewPreview)
@blueprint.response(200, Preview)
@blueprint.alt_response(403, description="a device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.alt_response(422, description="the equation is none, or more is asked for than can be answered")
@signed_in
def preview(new: dict[str, Any], device_id: int) -> Response:
    """Compute what an equation would make of a week's readings, and store nothing.

    The answer holds what the device sent, the values that are stored and the new ones, and how they differ. With a
    `reference_device_id`, such as an official station beside it, it says how far both are from that one's values,
    compared by hourly means.
    """
    equation = read_equation(new["equation"])
    with connection() as conn:
        require_readable(existing(conn, device_id))
        component = _component(conn, device_id, sensor_id=new["sensor_id"])
        check_inputs(conn, equation, device_id=device_id)
        reference = None
        if new["reference_device_id"] is not None:
            require_readable(existing(conn, new["reference_device_id"]))
            sensor_id = new["reference_sensor_id"] or new["sensor_id"]
            reference = _component(conn, new["reference_device_id"], reference_sensor_id=sensor_id)
        start, end = _range(new, component["latest_time"])
        try:
            body = preview_of(conn, component, equation, start, end, reference)
        except TooManyReadingsError as error:
            invalid(422, **{"from": str(error)})
    return answer(body)


def _range(new: Row, latest: datetime | None) -> tuple[datetime, datetime]:
    end = new["end"] or (latest or datetime.now(UTC)) + timedelta(seconds=1)
    start = new["start"] or end - timedelta(days=7)
    if not timedelta(0) < end - start <= _LONGEST_PREVIEW:
        days = _LONGEST_PREVIEW.days
        invalid(422, **{"from": f"{start:%Y-%m-%dT%H:%M:%SZ} is not before `to`, and within {days} days of it"})
    return start, end


def _component(conn: DictConnection, device_id: int, **sensor: int) -> Row:
    """Return a component of a device; the argument is named as the field that asked for it."""
    ((field, sensor_id),) = sensor.items()
    component: Row | None = queries.component_of_sensor(conn, device_id=device_id, sensor_id=sensor_id)
    if component is None:
        invalid(422, **{field: f"device {device_id} has no component of sensor {sensor_id}"})
    return component


def _require_sensor(conn: DictConnection, sensor_id: int) -> None:
    if not queries.sensor_exists(conn, id=sensor_id):
        not_found("sensor", sensor_id)


def _add(conn: DictConnection, new: Row, **scope: Any) -> Row:
    author_id = signed_in_user()["id"]
    calibration_id, redos = add_calibration(conn, **new, **scope, author_id=author_id)
    (row,) = queries.calibrations_by_ids(conn, ids=[calibration_id])
    return {**calibration_json(row), "recalibrations": redos}


def _added(added: Row) -> Response:
    if added["recalibrations"]:
        begin_redos()
    return answer(added, 201)


def _listed(conn: DictConnection, listed: str, scope: Row, query: Row) -> Response:
    page, sensor_id = Page.of(query), query.get("sensor_id")
    condition = AllOf([] if sensor_id is None else [Test(Column("sensor_id"), Operator.EQUAL, sensor_id)])
    order = [
        Order(Column("sensor_id")),
        Order(Column("distance")),
        Order(Column("valid_from"), descending=True),
        Order(Column("id"), descending=True),
    ]
    ids, total = select_ids(conn, listed, scope, condition, order, **page.window)
    return answer_page([calibration_json(row) for row in queries.calibrations_by_ids(conn, ids=ids)], total, page)
