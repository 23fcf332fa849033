"""Restore devices from the trash, delete them for good, and hand them over."""

import secrets
from datetime import timedelta
from typing import Any

from flask import Response, url_for
from flask_smorest import Blueprint

from app.api.devices import hold_own
from app.api.respond import answer, location
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.device_changes import require_account, restore_device
from app.device_records import read_devices
from app.errors import not_found
from app.jobs.purges import TRASH_DAYS
from app.jobs.wake import wake_purge
from app.openapi import SIGNED_IN
from app.policy import require_owner
from app.schemas.base import Done
from app.schemas.device_lifecycle import ArchivedDevice, NewTransfer, Purge, Transfer, TransferAcceptance
from app.schemas.devices import Device
from app.wire.devices import device_json
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries

blueprint = Blueprint("device_lifecycle", __name__, description="The trash, and the way of a device to another owner")


@blueprint.get("/devices/archived")
@blueprint.response(200, ArchivedDevice(many=True))
@signed_in
def archived() -> Response:
    """List your devices in the trash, the newest first."""
    user = signed_in_user()
    with connection() as conn:
        rows = queries.archived_devices(conn, owner_id=user["id"])
    return answer([{**row, "purged_after": row["archived_at"] + timedelta(days=TRASH_DAYS)} for row in rows])


@blueprint.post("/devices/<int:device_id>/restore")
@blueprint.response(200, Device)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device in the trash")
@blueprint.doc(security=SIGNED_IN)
def restore(device_id: int) -> Response:
    """Take a device out of the trash; its tokens are good again, its MAC address too unless another device has it."""
    with connection() as conn, conn.transaction():
        require_owner(_in_trash(conn, device_id))
        restore_device(conn, device_id)
        (record,) = read_devices(conn, [device_id])
    return answer(device_json(record, own=True))


@blueprint.post("/devices/<int:device_id>/purge")
@blueprint.response(202, Purge, headers=location("where to ask how far it is"))
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device in the trash: archive it first")
@blueprint.doc(security=SIGNED_IN)
def purge(device_id: int) -> Response:
    """Delete a device in the trash with all its readings, now and for good; a job does it."""
    with connection() as conn, conn.transaction():
        device = _in_trash(conn, device_id)
        require_owner(device)
        queries.insert_purge(conn, device_id=device_id, owner_id=device["owner_id"])
        row = queries.purge_of_device(conn, device_id=device_id)
    wake_purge(device_id)
    response = answer(_purge_json(row), 202)
    response.headers["Location"] = url_for(".purge_progress", device_id=device_id)
    return response


@blueprint.get("/devices/<int:device_id>/purge")
@blueprint.response(200, Purge)
@blueprint.alt_response(403, description="the device was not yours")
@blueprint.alt_response(404, description="nobody has asked for this device's deletion")
@blueprint.doc(security=SIGNED_IN)
def purge_progress(device_id: int) -> Response:
    """Show how far the deletion of a device has come; for 30 days after its end."""
    with connection() as conn:
        row = queries.purge_of_device(conn, device_id=device_id)
    if row is None:
        not_found("purge of device", device_id)
    require_owner({**row, "id": device_id})
    return answer(_purge_json(row))


@blueprint.post("/devices/<int:device_id>/transfer")
@blueprint.arguments(NewTransfer)
@blueprint.response(201, Transfer)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.doc(security=SIGNED_IN)
def offer(fields: dict[str, Any], device_id: int) -> Response:
    """Offer a device to whoever is given the token in the answer; an earlier offer of it ends."""
    token = secrets.token_urlsafe(24)
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        ends = queries.upsert_transfer(conn, device_id=device_id, hash=hash_token(token), **fields)
    return answer({"device_id": device_id, "transfer_token": token, "expires_at": ends}, 201)


@blueprint.delete("/devices/<int:device_id>/transfer")
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device, or it is not offered")
@blueprint.doc(security=SIGNED_IN)
def take_back(device_id: int) -> Response:
    """Take the offer of a device back: its token is worth nothing any more."""
    with connection() as conn, conn.transaction():
        hold_own(conn, device_id)
        if not queries.delete_transfer(conn, device_id=device_id):
            not_found("offer of device", device_id)
    return answer({"message": "OK"})


@blueprint.post("/devices/transfer")
@blueprint.arguments(TransferAcceptance)
@blueprint.response(200, Device)
@blueprint.alt_response(404, description="the token was used, has expired, or was never given")
@signed_in
def accept(fields: dict[str, str]) -> Response:
    """Become the owner of a device that was offered to you; its own tokens stay good until you revoke them."""
    user = signed_in_user()
    with connection() as conn, conn.transaction():
        require_account(conn, user["id"])
        queries.hold_offered_device(conn, hash=hash_token(fields["transfer_token"]))
        device_id = queries.take_transfer(conn, hash=hash_token(fields["transfer_token"]))
        if device_id is None:
            not_found("offer with this", "transfer_token")
        queries.set_owner(conn, id=device_id, owner_id=user["id"])
        (record,) = read_devices(conn, [device_id])
    return answer(device_json(record, own=True))


def _in_trash(conn: DictConnection, device_id: int) -> Row:
    queries.hold_device(conn, id=device_id)
    device: Row | None = queries.archived_device(conn, id=device_id)
    if device is None:
        not_found("archived device", device_id)
    return device


def _purge_json(row: Row) -> Row:
    state = "finished" if row["finished_at"] else "running" if row["started_at"] else "queued"
    keys = ("device_id", "percent", "datapoints", "requested_at", "finished_at")
    return {**{key: row[key] for key in keys}, "state": state}
