"""What devices are told to do, and what they say that they do."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.devices import existing, hold_own
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.device_configs import add_config
from app.policy import require_owner
from app.schemas.device_configs import ConfigRequest, DeviceConfig
from app.wire.device_configs import device_config_json
from sql import queries

blueprint = Blueprint("device_configs", __name__, description="Configuration of devices, over MQTT")


@blueprint.get("/devices/<int:device_id>/config")
@blueprint.response(200, DeviceConfig)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@signed_in
def show(device_id: int) -> Response:
    """Show what a device should do, what it says that it does, and where the two differ."""
    with connection() as conn:
        require_owner(existing(conn, device_id))
        return answer(device_config_json(queries.device_configs_that_count(conn, device_id=device_id)))


@blueprint.put("/devices/<int:device_id>/config")
@blueprint.arguments(ConfigRequest)
@blueprint.response(200, DeviceConfig)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.alt_response(422, description="a field is malformed, or the device's kit does not allow it; nothing changed")
@signed_in
def put(fields: dict[str, Any], device_id: int) -> Response:
    """Tell a device what to do: a new version, which takes the place of the one before.

    Within seconds it is kept, retained, on `device/sck/<token>/config` of each token with which the device logs in: a
    device that sleeps gets it when it wakes, and only the last one.
    """
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        add_config(conn, device_id, fields, signed_in_user()["id"])
        return answer(device_config_json(queries.device_configs_that_count(conn, device_id=device_id)))
