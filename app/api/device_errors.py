"""What devices say is wrong with them."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.devices import existing, hold_own
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.errors import not_found
from app.policy import require_owner
from app.schemas.base import Done
from app.schemas.device_errors import DeviceError, DeviceErrorsQuery, Resolution
from sql import queries

blueprint = Blueprint("device_errors", __name__, description="Errors that devices report, for 90 days")


@blueprint.get("/devices/<int:device_id>/errors")
@blueprint.arguments(DeviceErrorsQuery, location="query", error_status_code=400)
@blueprint.response(200, DeviceError(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@signed_in
def index(query: dict[str, Any], device_id: int) -> Response:
    """List a device's errors, the latest first: one item for each code of a component and hour, with a count."""
    page = Page.of(query)
    asked = {
        "device_id": device_id,
        "open": None if query["state"] is None else query["state"] == "open",
        "component": query["component"],
        "code": query["code"],
    }
    with connection() as conn:
        require_owner(existing(conn, device_id))
        total = queries.device_errors_total(conn, **asked)
        return answer_page(queries.device_errors_listed(conn, **asked, **page.window), total, page)


@blueprint.post("/devices/<int:device_id>/errors/resolve")
@blueprint.arguments(Resolution)
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device, or it has no such error; nothing was resolved")
@blueprint.alt_response(422, description="a field is missing or malformed")
@signed_in
def resolve(fields: dict[str, Any], device_id: int) -> Response:
    """Say that errors are dealt with. One that comes again in the same hour is open again."""
    ids = set(fields["ids"])
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        resolved = queries.resolve_device_errors(
            conn, device_id=device_id, ids=list(ids), user_id=signed_in_user()["id"]
        )
        if missing := ids - {row["id"] for row in resolved}:
            not_found("error", min(missing))
    return answer({"message": "OK"})
