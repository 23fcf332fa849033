"""The history of a device's components, as buckets or as readings."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
from flask import Response, request
from flask_smorest import Blueprint
from psycopg import Cursor

from app.api.history_body import Component, ask_ahead, columns_of, history_body, local_times
from app.api.history_query import LONGEST_QUANTILE_RANGE, HistoryQuery, Question
from app.api.respond import answer
from app.database import source
from app.errors import invalid, not_found
from app.history.fill import TooManyBucketsError, grid
from app.history.read import Ahead
from app.history.rollup import EPOCH, MICROSECOND
from app.policy import require_readable
from app.schemas.readings import History, Summary
from app.wire.readings import summary_json
from ingestor.times import from_us, to_us
from sql import DictConnection, Pool, Row, queries, send
from sql.arrays import Times

blueprint = Blueprint("readings", __name__, description="Readings")

_SHORTEST_PADDED_US = 600 * 1_000_000  # all_intervals counts from ten minutes up, as on the platform it comes from
_LONGEST_WHOLE = 1_000_000  # bytes; a longer answer is sent while it is read


@blueprint.get("/devices/<int:device_id>/readings")
@blueprint.arguments(HistoryQuery(), location="query", error_status_code=400)
@blueprint.response(200, History)
@blueprint.alt_response(304, description="nothing has changed since the ETag in If-None-Match")
@blueprint.alt_response(400, description="a parameter is missing or malformed")
@blueprint.alt_response(403, description="the device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.alt_response(422, description="more than can be answered; the message says what can")
def history(query: dict[str, Any], device_id: int) -> Response:
    """Show the readings of one or more components, newest first.

    Below a day buckets are aligned in UTC; days, weeks (from Monday), months and years are those of `tz`. The answer
    holds every reading whose write was confirmed before `complete_as_of`, however late it came.
    """
    question = Question.of(device_id, query, datetime.now(UTC))
    pool, as_of = source()
    with pool.connection() as conn:
        with conn.pipeline():
            asked = ask_state(conn, question, query, as_of)
            # Who has an answer is mostly told that it still holds.
            ahead = None if request.if_none_match else ask_ahead(conn, question, _asked(query)[1])
        state = asked.fetchone()
        if state is None or state["archived_at"] is not None:
            not_found("device", device_id)
        require_readable(state)
        check(question)
        etag = _etag(question, state, _told(conn, question, state))
        if request.if_none_match.contains_weak(etag):
            return _cacheable(Response(status=304), etag, state)
    body = history_of(pool, question, query, state, ahead)
    return _cacheable(streamed(body), etag, state)


def ask_state(conn: DictConnection, question: Question, query: dict[str, Any], as_of: datetime | None) -> Cursor[Row]:
    """Ask how a device's data stand for a question, and what decides who may read them; `as_of` is the source's."""
    keys, ids = _asked(query)
    return send(
        conn,
        queries.history_state,
        device_id=question.device_id,
        first_day=from_us(question.start_us).date(),
        last_day=from_us(question.end_us).date(),
        as_of=as_of,
        sensor_ids=ids,
        keys=keys,
    )


def history_of(
    pool: Pool, question: Question, query: dict[str, Any], state: Row, ahead: Ahead | None = None
) -> Iterator[bytes]:
    """Answer a question, from a loaded HistoryQuery, with a History in pieces; it takes connections as it goes."""
    about = {
        "device_id": question.device_id,
        "rollup": str(query["rollup"]),
        "function": ",".join(function.name for function in query["function"]),
        "columns": columns_of(question),
        "complete_as_of": state["complete_as_of"],
    }
    about["from"], about["to"] = local_times(question, np.array([question.start_us, question.end_us - 1]))
    return history_body(pool, question, about, _components(query, state), state, grid_of(question), ahead)


@blueprint.get("/devices/<int:device_id>/readings/summary")
@blueprint.response(200, Summary)
@blueprint.alt_response(304, description="nothing has changed since the ETag in If-None-Match")
@blueprint.alt_response(403, description="the device is private, and not yours")
@blueprint.alt_response(404, description="there is no such device")
def summary(device_id: int) -> Response:
    """Say how many readings each component has, and from when to when; exact for late readings too."""
    pool, as_of = source()
    with pool.connection() as conn:
        state = queries.history_state(
            conn, device_id=device_id, first_day=date.min, last_day=date.max, as_of=as_of, sensor_ids=[], keys=[]
        )
        if state is None or state["archived_at"] is not None:
            not_found("device", device_id)
        require_readable(state)
        etag = f"summary-{state['site'] or 0}-{state['data_version']}"
        if request.if_none_match.contains_weak(etag):
            return _cacheable(Response(status=304), etag, state)
        refreshed_day = state["refreshed_until"].replace(hour=0, minute=0, second=0, microsecond=0)
        days = [EPOCH.date() + timedelta(days=day) for day in state["dirty_days"].tolist()]
        dirty_days = [day for day in days if day < refreshed_day.date()]
        components = queries.readings_summary(
            conn, device_id=device_id, refreshed_day=refreshed_day, dirty_days=dirty_days
        )
    return _cacheable(answer(summary_json(device_id, state["complete_as_of"], components)), etag, state)


def check(question: Question) -> None:
    """Answer 422 to what would read too much."""
    quantile = next((function.name for function in question.functions if function.quantile is not None), None)
    if quantile and (question.end_us - question.start_us) * MICROSECOND > LONGEST_QUANTILE_RANGE:
        days = LONGEST_QUANTILE_RANGE.days
        invalid(422, function=f"{quantile} needs every reading, so at most {days} days are answered: ask for fewer")


def _padded(question: Question) -> bool:
    """Whether empty buckets are asked for."""
    if question.rollup is None:
        return False
    long_enough = question.rollup.duration.length // MICROSECOND >= _SHORTEST_PADDED_US
    return question.fill is not None or (question.all_intervals and long_enough)


def grid_of(question: Question) -> Times | None:
    """Return the buckets that must all be there, or None where only those with readings are."""
    if question.rollup is None or not _padded(question):
        return None
    try:
        return grid(question.rollup, question.start_us, question.end_us)
    except TooManyBucketsError as error:
        invalid(422, rollup=str(error))


def _asked(query: dict[str, Any]) -> tuple[list[str], list[int]]:
    """Return the keys and the sensors asked for: keys where there are some, as on the platform whose wire this is."""
    keys: list[str] = query.get("sensor_key", [])
    return keys, [] if keys else [int(sensor_id) for sensor_id in query["sensor_id"]]


def _components(query: dict[str, Any], state: Row) -> list[Component]:
    """Return what is asked for, in that order."""
    keys, ids = _asked(query)
    found = {row["key"] if keys else row["sensor_id"]: Component(**row) for row in state["components"] or ()}
    if keys:
        return [found.get(key) or Component(None, None, key) for key in keys]
    return [found.get(sensor_id) or Component(None, sensor_id, None) for sensor_id in ids]


def _told(conn: DictConnection, question: Question, state: Row) -> object:
    """Return what the components are told, on which coverage rests besides the data."""
    if not question.coverage:
        return None
    intervals = {row["sensor_id"]: row["interval"] for row in state["components"] or ()}
    return intervals, queries.paces_of_components(conn, device_id=question.device_id, sensor_ids=list(intervals))


def _etag(question: Question, state: Row, told: object) -> str:
    """Name the answer by the question, the version of the data it rests on, the components and what they are told.

    A range that lies below the horizon as a whole changes only when something late is written, and like any other when
    retention takes some of its datapoints.
    """
    closed = question.end_us <= to_us(state["horizon"])
    version = state["late_version"] if closed else state["data_version"]
    moving_end = question.end_us if _padded(question) or question.coverage else None
    kept_from_us = state["kept_from_us"]
    asked = (
        sorted(request.args.items(multi=True)),
        question.start_us,
        moving_end,
        closed,
        state["site"],
        version,
        None if kept_from_us is None else max(question.start_us, kept_from_us),
        [(row["id"], row["key"]) for row in state["components"] or ()],
        told,
    )
    return blake2b(repr(asked).encode(), digest_size=12).hexdigest()


def _cacheable(reply: Response, etag: str, device: Row) -> Response:
    reply.set_etag(etag, weak=True)
    # no-cache: keep it, but ask each time whether it still holds. Late data may change any bucket, and the question
    # costs one small query.
    reply.headers["Cache-Control"] = f"{'private' if device['is_private'] else 'public'}, no-cache"
    return reply


def streamed(pieces: Iterator[bytes]) -> Response:
    """Answer a short answer whole, so that what fails, fails with a status; a long one piece by piece."""
    begun = bytearray()
    for piece in pieces:
        begun += piece
        if len(begun) > _LONGEST_WHOLE:
            return Response(chain((bytes(begun),), pieces), mimetype="application/json")
    return Response(bytes(begun), mimetype="application/json")
