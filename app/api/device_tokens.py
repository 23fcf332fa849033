"""A device's tokens: make, list and revoke them."""

from datetime import datetime

from flask import Response
from flask_smorest import Blueprint

from app.api.devices import existing, hold_own
from app.api.respond import answer
from app.auth import signed_in
from app.database import connection
from app.device_tokens import MOST_TOKENS, add_token, has_room, new_token
from app.errors import not_found, refuse
from app.policy import require_owner
from app.schemas.base import Done
from app.schemas.device_tokens import DeviceToken, MadeDeviceToken, NewDeviceToken
from sql import queries

blueprint = Blueprint("device_tokens", __name__, description="The tokens by which devices are known")


@blueprint.get("/devices/<int:device_id>/tokens")
@blueprint.response(200, DeviceToken(many=True))
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@signed_in
def index(device_id: int) -> Response:
    """List a device's tokens, newest first, the expired ones too; never the tokens themselves."""
    with connection() as conn:
        require_owner(existing(conn, device_id))
        return answer(queries.tokens_of_device(conn, device_id=device_id))


@blueprint.post("/devices/<int:device_id>/tokens")
@blueprint.arguments(NewDeviceToken)
@blueprint.response(201, MadeDeviceToken)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.alt_response(422, description="the expiry is malformed or over, or the device has too many tokens")
@signed_in
def create(fields: dict[str, datetime | None], device_id: int) -> Response:
    """Make a token beside those that the device has; the answer is the only one that ever shows it."""
    token = new_token()
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        if not has_room(conn, device_id):
            refuse(422, f"device {device_id} has {MOST_TOKENS} tokens: revoke one with DELETE first")
        made = add_token(conn, device_id, token, **fields)
    return answer({**(made or {}), "device_token": token}, 201)


@blueprint.delete("/devices/<int:device_id>/tokens/<int:device_token_id>")
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device, or it has no such token")
@signed_in
def revoke(device_id: int, device_token_id: int) -> Response:
    """Revoke a token: whoever is connected with it is cut off within seconds, and its readings are refused."""
    with connection() as conn:
        require_owner(existing(conn, device_id))
        if not queries.revoke_device_token(conn, id=device_token_id, device_id=device_id):
            not_found("device token", device_token_id)
    return answer({"message": "OK"})
