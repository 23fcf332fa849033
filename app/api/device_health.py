"""How a device is."""

from datetime import UTC, datetime

from flask import Response
from flask_smorest import Blueprint

from app.api.devices import existing
from app.api.respond import answer
from app.auth import signed_in
from app.database import connection
from app.device_health import read_health
from app.policy import require_owner
from app.schemas.device_health import DeviceHealth

blueprint = Blueprint("device_health", __name__, description="How a device is")


@blueprint.get("/devices/<int:device_id>/health")
@blueprint.response(200, DeviceHealth)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@signed_in
def show(device_id: int) -> Response:
    """Show when a device was last heard, how much of a day's readings is there, and what is wrong with it."""
    with connection() as conn:
        device = existing(conn, device_id)
        require_owner(device)
        return answer(read_health(conn, device, datetime.now(UTC)))
