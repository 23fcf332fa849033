"""The inbox of what could not be stored: look at it, release it, put its time right, drop it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in
from app.bell import ring
from app.database import connection
from app.errors import invalid, not_found
from app.policy import viewer
from app.schemas.base import Done
from app.schemas.quarantine import QuarantineItem, QuarantineQuery, Release, Released
from ingestor import release as releasing
from sql import DictConnection, Row, queries

blueprint = Blueprint("quarantine", __name__, description="What was received and could not be stored, for 90 days")


@blueprint.get("/quarantine")
@blueprint.arguments(QuarantineQuery, location="query", error_status_code=400)
@blueprint.response(200, QuarantineItem(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List what could not be stored of your devices, the newest first; admins see all of it."""
    page = Page.of(query)
    asked = {**viewer(), "device_id": query["device_id"], "reason": query["reason"]}
    with connection() as conn:
        total = queries.quarantine_total(conn, **asked)
        items = queries.quarantine_listed(conn, **asked, **page.window)
    return answer_page(items, total, page)


@blueprint.get("/quarantine/<int:quarantine_id>")
@blueprint.response(200, QuarantineItem)
@signed_in
def show(quarantine_id: int) -> Response:
    """Show one item with all of its payload."""
    with connection() as conn:
        row = _find(conn, [quarantine_id])[0]
    payload = bytes(row["payload"])
    return answer({**row, "payload": payload.decode("utf-8", "replace"), "size": len(payload)})


@blueprint.post("/quarantine/release")
@blueprint.arguments(Release)
@blueprint.response(200, Released)
@blueprint.alt_response(404, description="an item does not exist, or is not of your devices")
@blueprint.alt_response(422, description="an item belongs to no device, or a field is malformed")
@signed_in
def release(fields: dict[str, Any]) -> Response:
    """Store items now that their cause is gone, their times put right where the clock was wrong.

    An item is stored as a whole or stays, with the reason of today.
    """
    with connection() as conn:
        rows = _find(conn, fields["ids"])
        if nobodys := [row["id"] for row in rows if row["device_id"] is None]:
            invalid(422, ids=f"{nobodys[0]} belongs to no device: register its token first")
        ledger, kept = releasing.release(
            conn,
            [releasing.Row(row["id"], row["device_id"], row["topic"], bytes(row["payload"])) for row in rows],
            timedelta(seconds=fields["shift_seconds"]),
            datetime.now(UTC),
        )
    ring()
    still = [item._asdict() for item in kept]
    return answer({"stored": ledger.stored, "duplicate": ledger.duplicate, "kept": still})


@blueprint.delete("/quarantine/<int:quarantine_id>")
@blueprint.response(200, Done)
@signed_in
def drop(quarantine_id: int) -> Response:
    """Drop one item for good."""
    with connection() as conn:
        _find(conn, [quarantine_id])
        queries.delete_quarantine(conn, ids=[quarantine_id])
    return answer({"message": "OK"})


def _find(conn: DictConnection, ids: list[int]) -> list[Row]:
    """Return these items; 404 unless the asking user may see all of them."""
    rows: list[Row] = queries.quarantine_by_ids(conn, **viewer(), ids=ids)
    if missing := set(ids) - {row["id"] for row in rows}:
        not_found("quarantined item", min(missing))
    return rows
