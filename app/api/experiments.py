"""Experiments: devices that people look at together for a time."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.filtering import BOOLEAN, INTEGER, TEXT, TIME, Filterable, FiltersField
from app.api.history_query import HistoryQuery, Question
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.readings import ask_state, check, grid_of, history_of, streamed
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection, source
from app.errors import invalid, not_found
from app.policy import require_owner, viewer
from app.schemas.base import Done
from app.schemas.experiments import Experiment, ExperimentChanges, ExperimentHistory, NewExperiment
from app.schemas.paging import Paging
from sql import DictConnection, Row, queries
from sql.replicas import Source
from sql.selecting import select_ids

blueprint = Blueprint("experiments", __name__, description="Experiments: devices that people look at together")

_COLUMNS = ("name", "description", "is_test", "starts_at", "ends_at")
_FILTERABLE = Filterable(
    {
        "id": INTEGER,
        "name": TEXT,
        "description": TEXT,
        "owner_id": INTEGER,
        "is_test": BOOLEAN,
        "starts_at": TIME,
        "ends_at": TIME,
        "created_at": TIME,
        "updated_at": TIME,
    }
)


class ExperimentsQuery(Paging):
    q = FiltersField(_FILTERABLE)


@blueprint.get("/experiments")
@blueprint.arguments(ExperimentsQuery, location="query", error_status_code=400)
@blueprint.response(200, Experiment(many=True), headers=PAGE_HEADERS)
def index(query: dict[str, Any]) -> Response:
    """List experiments, each with those of its devices that you may see."""
    page, filters = Page.of(query), query["q"]
    with connection() as conn:
        ids, total = select_ids(conn, "experiments_listed", {}, filters.condition, filters.order, **page.window)
        return answer_page(queries.experiments_by_ids(conn, ids=ids, **viewer()), total, page)


@blueprint.get("/experiments/<int:experiment_id>")
@blueprint.response(200, Experiment)
@blueprint.alt_response(404, description="there is no such experiment")
def show(experiment_id: int) -> Response:
    """Show an experiment, with those of its devices that you may see."""
    with connection() as conn:
        return answer(find_experiment(conn, experiment_id))


@blueprint.post("/experiments")
@blueprint.arguments(NewExperiment)
@blueprint.response(201, Experiment)
@blueprint.alt_response(422, description="a field is missing or malformed, or a device cannot be in it")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Make an experiment, of public devices of anybody and private ones of your own."""
    owner_id = signed_in_user()["id"]
    with connection() as conn, conn.transaction():
        about = {"description": None, "is_test": False, "starts_at": None, "ends_at": None, **fields}
        experiment_id = queries.insert_experiment(conn, owner_id=owner_id, **_checked(about))
        _set_devices(conn, experiment_id, owner_id, fields)
        return answer(find_experiment(conn, experiment_id), 201)


@blueprint.route("/experiments/<int:experiment_id>", methods=["PATCH", "PUT"])
@blueprint.arguments(ExperimentChanges)
@blueprint.response(200, Experiment)
@blueprint.alt_response(403, description="the experiment is not yours")
@blueprint.alt_response(404, description="there is no such experiment")
@blueprint.alt_response(422, description="a field is malformed, or a device cannot be in it")
@signed_in
def change(fields: dict[str, Any], experiment_id: int) -> Response:
    """Change what is sent of an experiment."""
    with connection() as conn, conn.transaction():
        queries.hold_experiment(conn, id=experiment_id)
        found = find_experiment(conn, experiment_id)
        require_owner(found, "experiment")
        queries.update_experiment(conn, id=experiment_id, **_checked({**found, **fields}))
        _set_devices(conn, experiment_id, found["owner_id"], fields)
        return answer(find_experiment(conn, experiment_id))


@blueprint.delete("/experiments/<int:experiment_id>")
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="the experiment is not yours")
@blueprint.alt_response(404, description="there is no such experiment")
@signed_in
def delete(experiment_id: int) -> Response:
    """Delete an experiment for good; its devices and their readings stay."""
    with connection() as conn:
        require_owner(find_experiment(conn, experiment_id), "experiment")
        queries.delete_experiment(conn, id=experiment_id)
    return answer({"message": "OK"})


@blueprint.get("/experiments/<int:experiment_id>/readings")
@blueprint.arguments(HistoryQuery, location="query", error_status_code=400)
@blueprint.response(200, ExperimentHistory)
@blueprint.alt_response(400, description="a parameter is missing or malformed")
@blueprint.alt_response(404, description="there is no such experiment")
@blueprint.alt_response(422, description="more than can be answered; the message says what can")
def readings(query: dict[str, Any], experiment_id: int) -> Response:
    """Show the readings of all of an experiment's devices that you may see, each as its own readings are shown.

    Where `from` and `to` are not given, they are the experiment's start and end.
    """
    with connection() as conn:
        experiment = find_experiment(conn, experiment_id)
    start, end = query["start"] or experiment["starts_at"], query["end"] or experiment["ends_at"]
    if start is not None and end is not None and start > end:
        invalid(400, **{"from": f"{start:%Y-%m-%dT%H:%M:%SZ} is after `to`, {end:%Y-%m-%dT%H:%M:%SZ}"})
    query = {**query, "start": start, "end": end}
    now = datetime.now(UTC)
    questions = [Question.of(device_id, query, now) for device_id in experiment["device_ids"]]
    for question in questions[:1]:  # they differ in the device alone
        check(question)
        grid_of(question)
    answered = streamed(_histories(source(), experiment_id, questions, query))
    answered.headers["Cache-Control"] = "private, no-cache"
    return answered


def _histories(
    source: Source, experiment_id: int, questions: Iterable[Question], query: dict[str, Any]
) -> Iterator[bytes]:
    yield b'{"experiment_id":%d,"devices":[' % experiment_id
    comma = b""
    for question in questions:
        with source.pool.connection() as conn:
            state = ask_state(conn, question, query, source.complete_as_of).fetchone()
        if state is None:  # purged just now
            continue
        yield comma
        yield from history_of(source.pool, question, query, state)
        comma = b","
    yield b"]}"


def find_experiment(conn: DictConnection, experiment_id: int) -> Row:
    """Return an experiment as the asking user may see it; answer 404 where there is none."""
    rows: list[Row] = queries.experiments_by_ids(conn, ids=[experiment_id], **viewer())
    if not rows:
        not_found("experiment", experiment_id)
    return rows[0]


def _checked(about: Row) -> Row:
    starts_at, ends_at = about["starts_at"], about["ends_at"]
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        invalid(422, ends_at=f"{ends_at:%Y-%m-%dT%H:%M:%SZ} is before starts_at, {starts_at:%Y-%m-%dT%H:%M:%SZ}")
    return {column: about[column] for column in _COLUMNS}


def _set_devices(conn: DictConnection, experiment_id: int, owner_id: int, fields: Row) -> None:
    """Give an experiment the devices that are sent, and no others."""
    if "device_ids" not in fields:
        return
    known = {row["id"]: row for row in queries.devices_to_experiment_with(conn, ids=fields["device_ids"])}
    for device_id in fields["device_ids"]:
        device = known.get(device_id)
        if device is None:
            invalid(422, device_ids=f"there is no device {device_id}")
        if device["is_private"] and device["owner_id"] != owner_id:
            invalid(422, device_ids=f"device {device_id} is private, and its owner is not the experiment's")
    queries.delete_devices_of_experiment(conn, experiment_id=experiment_id)
    queries.insert_devices_of_experiment(conn, experiment_id=experiment_id, device_ids=fields["device_ids"])
