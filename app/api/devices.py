"""Register, list and show devices."""

import secrets
import string
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.devices_query import DevicesQuery, restrictions
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import current_user, signed_in
from app.database import connection
from app.device_records import read_devices
from app.errors import invalid, not_found
from app.policy import owns, require_readable, viewer
from app.schemas.devices import Device, NewDevice
from app.wire.devices import device_json
from ingestor.intake import hash_token
from sql import DictConnection, queries
from sql.selecting import Column, Order, select_ids

blueprint = Blueprint("devices", __name__, description="Devices")

_TOKEN_ALPHABET = string.ascii_letters + string.digits
_TOKEN_LENGTH = 32


@blueprint.get("/devices")
@blueprint.arguments(DevicesQuery, location="query", error_status_code=400)
@blueprint.response(200, Device(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(400, description="a parameter is malformed, or filters by what is not known")
def index(query: dict[str, Any]) -> Response:
    """List the devices that the asking user may see."""
    page = Page.of(query)
    filters = query["q"]
    order = [*filters.order, *([Order(Column("distance_km"))] if query["near"] else [])]
    with connection() as conn:
        ids, total = select_ids(
            conn,
            "listed_devices",
            {**restrictions(query), **viewer()},
            filters.condition,
            order,
            limit=page.limit,
            offset=page.offset,
        )
        records = read_devices(conn, ids)
    return answer_page([device_json(record, own=owns(record.device)) for record in records], total, page)


@blueprint.post("/devices")
@blueprint.arguments(NewDevice)
@blueprint.response(201, Device)
@blueprint.alt_response(401, description="not signed in")
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
@signed_in
def register(fields: dict[str, Any]) -> Response:
    """Register a device; the answer is the only one that ever shows its token."""
    user = current_user()
    token = fields.pop("device_token") or "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(_TOKEN_LENGTH))
    with connection() as conn, conn.transaction():
        device_id = register_device(conn, token, owner_id=user["id"] if user else 0, **fields)
        (record,) = read_devices(conn, [device_id])
    return answer(device_json(record, own=True, token=token), 201)


def register_device(conn: DictConnection, token: str, **fields: Any) -> int:
    """Make a device with its kit's components and its token, and return its id; call it in a transaction."""
    if fields["kit_id"] is not None and not queries.kit_exists(conn, id=fields["kit_id"]):
        invalid(422, kit_id=f"there is no kit {fields['kit_id']}")
    device_id: int = queries.insert_device(conn, **fields)
    queries.insert_components_of_kit(conn, device_id=device_id)
    if queries.insert_device_token(conn, device_id=device_id, hash=hash_token(token), expires_at=None) is None:
        invalid(422, device_token="another device has it")  # noqa: S106 - a reason, not a password
    return device_id


@blueprint.get("/devices/<int:device_id>")
@blueprint.response(200, Device)
@blueprint.alt_response(403, description="the device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
def show(device_id: int) -> Response:
    """Show a device with the latest value of each of its components."""
    with connection() as conn:
        records = read_devices(conn, [device_id])
    if not records:
        not_found("device", device_id)
    require_readable(records[0].device)
    return answer(device_json(records[0], own=owns(records[0].device)))
