"""Readings as they are committed, as server-sent events."""

from typing import Any

import psycopg
from flask import Response, current_app, request
from flask_smorest import Blueprint

from app.auth import current_asker, current_user
from app.browser import remembered_user
from app.database import connection
from app.errors import not_found, refuse
from app.live import events
from app.live.filters import Filter
from app.live.handover import stream
from app.live.hub import Hub
from app.live.listener import Pass
from app.live.position import Position, Snapshot
from app.policy import sees
from app.schemas.stream import StreamQuery
from sql import DictConnection, Row, queries

blueprint = Blueprint("stream", __name__, description="Live readings")

_LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "schema": {"type": "string"},
    "description": "the id of the last event that you have got: what you have missed since comes first",
    "example": "7301:7301:",
}
_EXAMPLE = """\
retry: 3000
id: 7301:7301:

event: readings
data: {"device_id":7,"received_at":"2026-01-15T08:30:01Z","readings":[{"recorded_at":"2026-01-15T08:30:00Z",\
"late":false,"sensors":[{"id":55,"key":"t","value":21.4,"raw":21.4}]}]}
id: 7301:7302:/7302.1
"""


@blueprint.get("/stream")
@blueprint.doc(parameters=[_LAST_EVENT_ID])
@blueprint.arguments(StreamQuery, location="query", error_status_code=400)
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", example=_EXAMPLE)
@blueprint.alt_response(403, description="one of the devices is private")
@blueprint.alt_response(404, description="one of the devices does not exist")
@blueprint.alt_response(503, description="this server has all the listeners that it takes: try again")
def listen(query: dict[str, Any]) -> Response:
    """Listen to the readings that you may see, as they are committed.

    An event `readings` holds what one batch has stored of one device; `late` marks what is older than the rollups
    already are, some 15 minutes. A client that comes back with `Last-Event-ID`, as a browser's EventSource does by
    itself, gets what it has missed of the last day, each datapoint once. `reset` says that this cannot be told: ask for
    the history. `end` says why coming back is of no use.

    Bearer tokens work as everywhere. On pages of our own the cookie of a signed-in browser does too.
    """
    hub: Hub = current_app.extensions["streams"]
    wanted = query["wanted"]
    shown = _shown()
    with connection() as conn:
        _check_devices(conn, wanted, shown.user)
        now = Position(Snapshot.parse(queries.current_snapshot(conn)))
        position, goes_on = _resumed(conn, request.headers.get("Last-Event-ID", ""))
    if goes_on:
        return stream(hub, wanted, shown, position or now)
    reset = events.told("reset", "what you have missed is not known any more: ask for the history")
    return stream(hub, wanted, shown, now, reset)


def _shown() -> Pass:
    user = current_user()  # refuses a token without the scope
    asker = current_asker()
    if user is not None and asker is not None:
        return Pass(user, asker.session_id, user.get("token_id"), asker.expires_at)
    # A page of another site never gets here with the cookie (SameSite=Lax); one of a neighbouring host must not.
    if request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin" and (user := remembered_user()):
        return Pass(user, user["session_id"])
    return Pass(None)


def _check_devices(conn: DictConnection, wanted: Filter, user: Row | None) -> None:
    if not wanted.device_ids:
        return
    devices = queries.live_devices(conn, ids=sorted(wanted.device_ids))
    if missing := wanted.device_ids - {device["id"] for device in devices}:
        not_found("device", min(missing))
    for device in devices:
        if not sees(user, device):
            refuse(403, f"device {device['id']} is private")


def _resumed(conn: DictConnection, last_event_id: str) -> tuple[Position | None, bool]:
    """Return the position that a client names, if it names one, and whether it can go on from there."""
    if not last_event_id:
        return None, True
    try:
        position = Position.parse(last_event_id)
        return position, queries.is_remembered(conn, seen=str(position.snapshot))
    except (ValueError, psycopg.DataError):
        return None, False
