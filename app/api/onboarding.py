"""Set up a device in an app: describe it, give it a token, see it speak, and only then sign in to own it."""

import secrets
import string
from typing import Any
from uuid import UUID, uuid4

from flask import Response, current_app, request
from flask_smorest import Blueprint

from app.adoption import adopt
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.bell import ring
from app.database import connection
from app.device_changes import register_device
from app.device_records import read_devices
from app.errors import invalid, not_found
from app.live import events
from app.live.handover import stream
from app.live.listener import Awaited, Pass
from app.live.position import Position, Snapshot
from app.openapi import SIGNED_IN
from app.schemas.devices import Device
from app.schemas.onboarding import Address, Begun, Orphan, OrphanChanges, Username
from app.sealing import seal, unseal
from app.wire.devices import device_json
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries

blueprint = Blueprint("onboarding", __name__, description="Setting up devices")

_FIELDS = ("name", "description", "exposure", "latitude", "longitude", "user_tags")
_TOKEN_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN_LENGTH = 6  # what a kit's firmware takes
_HEADER = {
    "in": "header",
    "name": "OnboardingSession",
    "schema": {"type": "string"},
    "description": "as POST /v0/onboarding/device gave it",
    "example": "5f1c2a34-6b7d-4e8f-9a0b-1c2d3e4f5a6b",
}
_EXAMPLE = """\
event: token-received
data: {"message":"the device has spoken","onboarding_session":"5f1c2a34-6b7d-4e8f-9a0b-1c2d3e4f5a6b"}
"""
_NO_SESSION = "the header OnboardingSession is missing, or there is no such session (any more)"


@blueprint.post("/onboarding/device")
@blueprint.arguments(OrphanChanges)
@blueprint.response(201, Begun)
def begin(fields: dict[str, Any]) -> Response:
    """Begin to set up a device: nobody needs to sign in yet. What is not registered within a week is forgotten."""
    session, token = str(uuid4()), ""
    described = {name: fields.get(name) for name in _FIELDS}
    with connection() as conn:
        orphan_id = None
        while orphan_id is None:  # a token of six characters may be somebody's already
            token = "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(_TOKEN_LENGTH))
            orphan_id = queries.insert_orphan(
                conn,
                session_hash=hash_token(session),
                session_sealed=seal(session, _secret_key()),
                token_hash=hash_token(token),
                token_sealed=seal(token, _secret_key()),
                **described,
            )
    return answer({"onboarding_session": session, "device_token": token}, 201)


@blueprint.get("/onboarding/device")
@blueprint.doc(parameters=[_HEADER])
@blueprint.response(200, Orphan)
@blueprint.alt_response(404, description=_NO_SESSION)
def show() -> Response:
    """Show the device that this session sets up, and whether it has spoken yet."""
    with connection() as conn:
        return answer(_orphan_json(_orphan(conn)))


@blueprint.get("/onboarding/device/stream")
@blueprint.doc(parameters=[_HEADER])
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", example=_EXAMPLE)
@blueprint.alt_response(404, description=_NO_SESSION)
@blueprint.alt_response(503, description="this server has all the listeners that it takes: try again")
def listen() -> Response:
    """Wait for the device to speak for the first time: one event says so, and ends the stream."""
    with connection() as conn:
        session = _orphan(conn)["onboarding_session"]
        now = Position(Snapshot.parse(queries.current_snapshot(conn)))
    news = events.told("token-received", "the device has spoken", onboarding_session=session)
    return stream(current_app.extensions["streams"], Awaited(hash_token(session), news), Pass(None), now)


@blueprint.patch("/onboarding/device")
@blueprint.doc(parameters=[_HEADER])
@blueprint.arguments(OrphanChanges)
@blueprint.response(200, Orphan)
@blueprint.alt_response(404, description=_NO_SESSION)
@blueprint.alt_response(422, description="a field is malformed")
def change(fields: dict[str, Any]) -> Response:
    """Describe the device further; what is not sent stays."""
    with connection() as conn, conn.transaction():
        queries.hold_orphan(conn, id=_orphan(conn)["id"])
        orphan = _orphan(conn)
        queries.update_orphan(conn, id=orphan["id"], **{name: fields.get(name, orphan[name]) for name in _FIELDS})
        return answer(_orphan_json(_orphan(conn)))


@blueprint.post("/onboarding/user")
@blueprint.arguments(Address)
@blueprint.response(200, Username)
@blueprint.alt_response(404, description="no account has this address")
@blueprint.alt_response(429, description="too many addresses were tried")
def find_username(fields: dict[str, str]) -> Response:
    """Say whose account an e-mail address is, so that an app can ask for its password."""
    with connection() as conn:
        username = queries.username_of_email(conn, email=fields["email"])
    if username is None:
        not_found("account with the e-mail address", fields["email"])
    return answer({"username": username})


@blueprint.post("/onboarding/register")
@blueprint.doc(parameters=[_HEADER], security=SIGNED_IN)
@blueprint.response(201, Device)
@blueprint.alt_response(404, description=f"{_NO_SESSION}, or no such tag")
@blueprint.alt_response(422, description="the device has no name yet")
def register() -> Response:
    """Own the device that this session has set up; what it has sent so far becomes its readings.

    The session ends, and the token stays the device's.
    """
    with connection() as conn:
        _orphan(conn)  # an app asks for a login only once it knows that the session is still good
    return _register()


@signed_in
def _register() -> Response:
    user = signed_in_user()
    with connection() as conn, conn.transaction():
        orphan = _orphan(conn)
        if not orphan["name"]:
            invalid(422, name="is missing: PATCH /v0/onboarding/device first")
        if not queries.delete_orphan(conn, id=orphan["id"]):
            not_found("onboarding session", "like this")
        tags = [name.strip() for name in (orphan["user_tags"] or "").split(",") if name.strip()]
        fields = {name: orphan[name] for name in _FIELDS if orphan[name] is not None}
        token = _token(orphan)
        device_id = register_device(conn, token, owner_id=user["id"], **{**fields, "user_tags": tags})
        adopt(conn, device_id, bytes(orphan["token_hash"]), orphan["created_at"])
        (record,) = read_devices(conn, [device_id])
    ring()
    return answer(device_json(record, own=True, token=token), 201)


def _orphan(conn: DictConnection) -> Row:
    try:
        session = str(UUID(request.headers.get("OnboardingSession", "")))
    except ValueError:
        session = ""
    orphan: Row | None = queries.orphan_by_session(conn, session_hash=hash_token(session)) if session else None
    if orphan is None:
        not_found("onboarding session", session or "in the header OnboardingSession")
    return {**orphan, "onboarding_session": session}


def _orphan_json(orphan: Row) -> Row:
    return {
        "id": orphan["id"],
        **{name: orphan[name] for name in _FIELDS},
        "device_token": _token(orphan),
        "onboarding_session": orphan["onboarding_session"],
        "created_at": orphan["created_at"],
        "updated_at": orphan["updated_at"],
        "device_handshake": orphan["device_handshake"],
    }


def _token(orphan: Row) -> str:
    token = unseal(bytes(orphan["token_sealed"]), bytes(orphan["token_hash"]), _secret_key())
    if token is None:
        not_found("onboarding session", "that this server can open: begin anew")
    return token


def _secret_key() -> str:
    return str(current_app.extensions["config"].secret_key)
