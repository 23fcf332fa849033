"""Forwarding over MQTT: the token of a researcher, the answer to a broker that asks, and the destinations."""

import re
import secrets
from typing import Any

from flask import Response, current_app
from flask_smorest import Blueprint

from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.errors import invalid, not_found, refuse
from app.policy import admins_only, require_researcher
from app.schemas.base import Done
from app.schemas.forwarding import (
    Destination,
    ForwardAnswer,
    ForwardingToken,
    ForwardQuery,
    MadeForwardingToken,
    NewDestination,
)
from app.sealing import seal
from ingestor.tokens import hash_token
from sql import queries

blueprint = Blueprint("forwarding", __name__, description="Forwarding readings over MQTT")

_TOPIC = re.compile(r"/?forward/([^/+#]+)(/.*)?", re.DOTALL)
_NONE = "you have no token for forwarding"


@blueprint.get("/me/forwarding")
@blueprint.response(200, ForwardingToken)
@blueprint.alt_response(404, description=_NONE)
@signed_in
def show() -> Response:
    """Show your token for forwarding, but for the token itself."""
    with connection() as conn:
        row = queries.forwarding_token_of_user(conn, user_id=signed_in_user()["id"])
    if row is None:
        refuse(404, _NONE, slug="record_not_found")
    return answer({"forwarding_username": row["username"], "created_at": row["created_at"]})


@blueprint.post("/me/forwarding")
@blueprint.response(201, MadeForwardingToken)
@blueprint.alt_response(403, description="you are neither a researcher nor an admin")
@signed_in
def create() -> Response:
    """Make a token for forwarding, in the place of an earlier one, which ends.

    What those of your devices send that have `enable_forwarding` is published under its topic from then on, also
    private ones. At the broker the token is user name and password, of one connection at a time.
    """
    require_researcher()
    token, username = secrets.token_urlsafe(18), secrets.token_urlsafe(12)
    sealed = seal(token, current_app.extensions["config"].secret_key)
    with connection() as conn:
        row = queries.upsert_forwarding_token(
            conn, user_id=signed_in_user()["id"], username=username, hash=hash_token(token), sealed=sealed
        )
    made = {"forwarding_username": row["username"], "created_at": row["created_at"], "forwarding_token": token}
    return answer({**made, "topic": f"/forward/{token}/device/+/readings"}, 201)


@blueprint.delete("/me/forwarding")
@blueprint.response(200, Done)
@blueprint.alt_response(404, description=_NONE)
@signed_in
def end() -> Response:
    """End your token for forwarding: the broker cuts off within seconds who uses it."""
    with connection() as conn:
        if not queries.delete_forwarding_token(conn, user_id=signed_in_user()["id"]):
            refuse(404, _NONE, slug="record_not_found")
    return answer({"message": "OK"})


@blueprint.get("/forward")
@blueprint.arguments(ForwardQuery, location="query", error_status_code=400)
@blueprint.response(200, ForwardAnswer)
def may_subscribe(query: dict[str, str]) -> Response:
    """Tell a broker whether a client of this user name may subscribe to this topic."""
    found = _TOPIC.fullmatch(query["topic"])
    allowed = False
    if found is not None:
        with connection() as conn:
            allowed = queries.may_hear_forwarded(conn, hash=hash_token(found[1]), username=query["username"])
    return answer({"result": "allow" if allowed else "deny"})


@blueprint.get("/forwarding_destinations")
@blueprint.response(200, Destination(many=True))
def destinations() -> Response:
    """List where data can be forwarded to; a device names one with `forwarding_destination_id`."""
    with connection() as conn:
        return answer(queries.forwarding_destinations(conn))


@blueprint.post("/forwarding_destinations")
@blueprint.arguments(NewDestination)
@blueprint.response(201, Destination)
@blueprint.alt_response(422, description="there is one of that name, or the name is missing")
@admins_only
def add_destination(fields: dict[str, Any]) -> Response:
    """Add a destination."""
    with connection() as conn:
        row = queries.insert_forwarding_destination(conn, name=fields["name"])
    if row is None:
        invalid(422, name=f"there is a destination {fields['name']!r} already")
    return answer(row, 201)


@blueprint.delete("/forwarding_destinations/<int:destination_id>")
@blueprint.response(200, Done)
@blueprint.alt_response(404, description="there is no such destination")
@admins_only
def drop_destination(destination_id: int) -> Response:
    """Drop a destination; devices that named it name none."""
    with connection() as conn:
        if not queries.delete_forwarding_destination(conn, id=destination_id):
            not_found("forwarding destination", destination_id)
    return answer({"message": "OK"})
