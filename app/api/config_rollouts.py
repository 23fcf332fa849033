"""Configurations on their way to many devices."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.config_rollouts import complaint, go_on, pause, progress, start
from app.database import connection
from app.errors import invalid, not_found, refuse
from app.policy import is_admin, owns, viewer
from app.schemas.config_rollouts import ConfigRollout, ConfigRolloutChanges, NewConfigRollout
from app.schemas.paging import Paging
from sql import DictConnection, Row, queries

blueprint = Blueprint("config_rollouts", __name__, description="Configurations on their way to many devices")


@blueprint.get("/config_rollouts")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, ConfigRollout(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List your roll-outs, the newest first; admins see all."""
    page = Page.of(query)
    with connection() as conn:
        total = queries.config_rollouts_total(conn, **viewer())
        rows = queries.config_rollouts_listed(conn, **viewer(), **page.window)
        reached = queries.config_rollout_progress(conn, ids=[row["id"] for row in rows])
    by_id = {row["rollout_id"]: row for row in reached}
    return answer_page([_json(row, by_id[row["id"]]) for row in rows], total, page)


@blueprint.post("/config_rollouts")
@blueprint.arguments(NewConfigRollout)
@blueprint.response(201, ConfigRollout)
@blueprint.alt_response(403, description="the devices are another user's")
@blueprint.alt_response(422, description="a field is malformed, or the kit of one of the devices does not allow it")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Tell some percent of the devices of an experiment or a user what to do; PATCH raises it.

    Checked for every device before the first is told. Where a tenth of those that were told refuse it, or report errors
    that they did not report the day before, it pauses within a minute.
    """
    user = signed_in_user()
    experiment_id = fields.get("experiment_id")
    user_id = fields.get("user_id", user["id"] if experiment_id is None else None)
    if user_id not in (None, user["id"]) and not is_admin():
        refuse(403, f"the devices of user {user_id} are not yours")
    which = {"experiment_id": experiment_id, "user_id": user_id}
    with connection() as conn, conn.transaction():
        devices = queries.devices_to_roll_out_to(conn, **which, owner_id=user["id"], is_admin=is_admin())
        if not devices:
            invalid(422, **{"user_id" if experiment_id is None else "experiment_id": "there is no device of yours"})
        device_ids = [row["id"] for row in devices]
        rollout_id = start(conn, user["id"], device_ids, fields["config"], **which, percent=fields["percent"])
        return answer(_shown(conn, rollout_id), 201)


@blueprint.get("/config_rollouts/<int:rollout_id>")
@blueprint.response(200, ConfigRollout)
@signed_in
def show(rollout_id: int) -> Response:
    """Show how far a roll-out is."""
    with connection() as conn:
        rollout = _yours(queries.config_rollout_by_id(conn, id=rollout_id), rollout_id)
        return answer(_json(rollout, progress(conn, rollout_id)))


@blueprint.patch("/config_rollouts/<int:rollout_id>")
@blueprint.arguments(ConfigRolloutChanges)
@blueprint.response(200, ConfigRollout)
@blueprint.alt_response(422, description="the percentage is lower than before, or the roll-out is paused or must be")
@signed_in
def change(fields: dict[str, Any], rollout_id: int) -> Response:
    """Tell more devices, pause, or go on; who goes on after a pause is judged by what happens from then on."""
    with connection() as conn, conn.transaction():
        rollout = _yours(queries.config_rollout_to_change(conn, id=rollout_id), rollout_id)
        state: str = fields.get("state") or rollout["state"]
        percent: int = fields.get("percent") or rollout["percent"]
        if percent < rollout["percent"]:
            invalid(422, percent=f"{rollout['percent']} percent were told already; pause it to take back what it can")
        if state == "paused":
            if percent > rollout["percent"]:
                invalid(422, percent="the roll-out is paused; send state running with it to go on")
            pause(conn, rollout, rollout["reason"])
        else:
            if rollout["state"] == "running" and (reason := complaint(progress(conn, rollout_id))):
                invalid(422, percent=reason)
            go_on(conn, rollout, percent)
        return answer(_shown(conn, rollout_id))


def _yours(rollout: Row | None, rollout_id: int) -> Row:
    if rollout is None or not owns(rollout):
        not_found("roll-out", rollout_id)
    return rollout


def _shown(conn: DictConnection, rollout_id: int) -> Row:
    return _json(queries.config_rollout_by_id(conn, id=rollout_id), progress(conn, rollout_id))


def _json(rollout: Row, reached: Row) -> Row:
    """Return a ConfigRollout."""
    counts = ("total", "told", "applied", "refused", "in_trouble")
    return {**rollout, **{name: reached[name] for name in counts}}
