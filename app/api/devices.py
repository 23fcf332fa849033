"""Register, list, show, change and archive devices."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.devices_query import DevicesQuery, restrictions
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.device_changes import change_device, register_device
from app.device_records import DeviceRecord, read_devices
from app.device_tokens import new_token
from app.errors import not_found
from app.openapi import SIGNED_IN
from app.policy import is_admin, is_researcher, owns, require_owner, require_readable, viewer
from app.schemas.base import Done
from app.schemas.devices import Device, DeviceChanges, NewDevice
from app.wire.devices import device_json, devices_json
from sql import DictConnection, Row, queries
from sql.selecting import Column, Order, select_ids

blueprint = Blueprint("devices", __name__, description="Devices")

_FOR_RESEARCHERS = ("enable_forwarding", "forwarding_destination_id", "postprocessing_attributes")


@blueprint.get("/devices")
@blueprint.arguments(DevicesQuery, location="query", error_status_code=400)
@blueprint.response(200, Device(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(400, description="a parameter is malformed, or filters by what is not known")
def index(query: dict[str, Any]) -> Response:
    """List the devices that the asking user may see."""
    page = Page.of(query)
    records, total = chosen(query, page)
    return answer_page(devices_json(records, owns), total, page)


def chosen(query: dict[str, Any], page: Page) -> tuple[list[DeviceRecord], int]:
    """Return a page of the devices that loaded parameters of DevicesQuery ask for, and how many there are in all."""
    filters = query["q"]
    order = [*filters.order, *([Order(Column("distance_km"))] if query["near"] else [])]
    with connection() as conn:
        ids, total = select_ids(
            conn, "devices_listed", {**restrictions(query), **viewer()}, filters.condition, order, **page.window
        )
        return read_devices(conn, ids), total


@blueprint.post("/devices")
@blueprint.arguments(NewDevice)
@blueprint.response(201, Device)
@blueprint.alt_response(404, description="there is no such tag")
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
@signed_in
def register(fields: dict[str, Any]) -> Response:
    """Register a device; the answer is the only one that ever shows its token."""
    user = signed_in_user()
    fields = permitted(fields)
    token = fields.pop("device_token", None) or new_token()
    with connection() as conn, conn.transaction():
        device_id = register_device(conn, token, owner_id=user["id"], **fields)
        (record,) = read_devices(conn, [device_id])
    return answer(device_json(record, own=True, token=token), 201)


def permitted(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the asking user may not set; clients send back whole devices, so that is no reason to refuse."""
    refused = () if is_researcher() else _FOR_RESEARCHERS
    refused = refused if is_admin() else (*refused, "is_test")
    return {name: value for name, value in fields.items() if name not in refused}


@blueprint.get("/devices/<int:device_id>")
@blueprint.response(200, Device)
@blueprint.alt_response(403, description="the device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
def show(device_id: int) -> Response:
    """Show a device with the latest value of each of its components."""
    record = readable(device_id)
    return answer(device_json(record, own=owns(record.device)))


def readable(device_id: int) -> DeviceRecord:
    """Return a device that the asking user may see; answer 404 or 403 for others."""
    with connection() as conn:
        records = read_devices(conn, [device_id])
    if not records:
        not_found("device", device_id)
    require_readable(records[0].device)
    return records[0]


@blueprint.route("/devices/<int:device_id>", methods=["PATCH", "PUT"])
@blueprint.arguments(DeviceChanges)
@blueprint.response(200, Device)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device, or no such tag")
@blueprint.alt_response(422, description="a field is malformed or taken")
@blueprint.doc(security=SIGNED_IN)
def change(fields: dict[str, Any], device_id: int) -> Response:
    """Change the fields that are sent; the others stay."""
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        change_device(conn, device_id, permitted(fields))
        (record,) = read_devices(conn, [device_id])
    return answer(device_json(record, own=True))


@blueprint.delete("/devices/<int:device_id>")
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.doc(security=SIGNED_IN)
def archive(device_id: int) -> Response:
    """Put a device in the trash: nobody sees it any more, and after 30 days it is deleted with its readings."""
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        queries.archive_device(conn, id=device_id)
    return answer({"message": "OK"})


def hold_own(conn: DictConnection, device_id: int) -> None:
    """Keep a device, and whose it is, as it is until the transaction ends; 404 or 403 unless you may change it."""
    queries.hold_device(conn, id=device_id)
    require_owner(existing(conn, device_id))


def existing(conn: DictConnection, device_id: int) -> Row:
    """Return what decides who may change a device; 404 where there is none."""
    device: Row | None = queries.device_readable(conn, id=device_id)
    if device is None:
        not_found("device", device_id)
    return device
