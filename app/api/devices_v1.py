"""List and show devices, version 1."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.devices import chosen, readable
from app.api.devices_query import DevicesQuery
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import holds
from app.device_records import DeviceRecord
from app.policy import owns
from app.schemas.devices_v1 import SeenDevice
from app.wire.devices_v1 import device_v1_json
from sql import Row

blueprint = Blueprint("devices_v1", __name__, description="Devices, version 1: hidden fields are named, not filtered")


@blueprint.get("/devices")
@blueprint.arguments(DevicesQuery, location="query", error_status_code=400)
@blueprint.response(200, SeenDevice(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(400, description="a parameter is malformed, or filters by what is not known")
def index(query: dict[str, Any]) -> Response:
    """List the devices that the asking user may see."""
    page = Page.of(query)
    records, total = chosen(query, page)
    return answer_page([_json(record) for record in records], total, page)


@blueprint.get("/devices/<int:device_id>")
@blueprint.response(200, SeenDevice)
@blueprint.alt_response(403, description="the device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
def show(device_id: int) -> Response:
    """Show a device with the latest value of each of its components."""
    return answer(_json(readable(device_id)))


def _json(record: DeviceRecord) -> Row:
    own = owns(record.device)
    return device_v1_json(record, own=own, owns_account=own and holds("account"))
