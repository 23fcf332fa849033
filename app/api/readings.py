"""The history of a device's components, as buckets or as readings."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import numpy as np
from flask import Response, request
from flask_smorest import Blueprint

from app.api.history_body import Component, columns_of, local_times, series_body
from app.api.history_query import LONGEST_QUANTILE_RANGE, HistoryQuery, Question
from app.api.respond import to_json
from app.database import connection, pool
from app.errors import invalid, not_found, refuse
from app.history.fill import TooManyBucketsError
from app.history.rollup import MICROSECOND, from_us, to_us
from app.policy import may_read
from app.schemas.readings import History
from sql import DictConnection, Row, queries

blueprint = Blueprint("readings", __name__, description="Readings")


@blueprint.get("/devices/<int:device_id>/readings")
@blueprint.arguments(HistoryQuery, location="query", error_status_code=400)
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
    device = readable_device(device_id)
    question = Question.of(device_id, query, datetime.now(UTC))
    _check(question)
    with connection() as conn:
        state = queries.history_state(
            conn,
            device_id=device_id,
            first_day=from_us(question.start_us).date(),
            last_day=from_us(question.end_us).date(),
        )
        etag = _etag(question, state)
        if request.if_none_match.contains_weak(etag):
            return _cacheable(Response(status=304), etag, device)
        components = [_component(conn, question, name) for name in _names(query)]
    try:
        dirty_days = frozenset(state["dirty_days"].tolist())
        series = [series_body(pool(), question, component, dirty_days) for component in components]
    except TooManyBucketsError as error:
        invalid(422, rollup=str(error))
    about = {
        "device_id": device_id,
        "rollup": str(query["rollup"]),
        "function": ",".join(function.name for function in query["function"]),
        "columns": columns_of(question),
        "complete_as_of": state["complete_as_of"],
    }
    about["from"], about["to"] = local_times(question, np.array([question.start_us, question.end_us - 1]))
    return _cacheable(Response(_body(to_json(about), series), mimetype="application/json"), etag, device)


def readable_device(device_id: int) -> Row:
    """Return a device whose readings the asking user may see; answer 404 or 403 for others."""
    with connection() as conn:
        device: Row | None = queries.device_readable(conn, id=device_id)
    if device is None:
        not_found("device", device_id)
    if not may_read(device):
        refuse(403, f"device {device_id} is private")
    return device


def _check(question: Question) -> None:
    if question.start_us >= question.end_us:
        start, end = from_us(question.start_us), from_us(question.end_us)
        invalid(400, **{"from": f"{start:%Y-%m-%dT%H:%M:%SZ} is after `to`, {end:%Y-%m-%dT%H:%M:%SZ}"})
    quantile = next((function.name for function in question.functions if function.quantile is not None), None)
    if quantile and (question.end_us - question.start_us) * MICROSECOND > LONGEST_QUANTILE_RANGE:
        days = LONGEST_QUANTILE_RANGE.days
        invalid(422, function=f"{quantile} needs every reading, so at most {days} days are answered: ask for fewer")


def _names(query: dict[str, Any]) -> list[int | str]:
    """Return the components asked for: keys where there are some, as on the platform whose wire this is, else ids."""
    return query.get("sensor_key") or [int(sensor_id) for sensor_id in query["sensor_id"]]


def _component(conn: DictConnection, question: Question, name: int | str) -> Component:
    if isinstance(name, int):
        row = queries.component_by_sensor(conn, device_id=question.device_id, sensor_id=name)
    else:
        row = queries.component_by_key(conn, device_id=question.device_id, key=name)
    if row is None:
        return Component(None, name if isinstance(name, int) else None, None if isinstance(name, int) else name)
    where = {"device_id": question.device_id, "sensor_id": row["sensor_id"]}
    return Component(
        row["id"],
        row["sensor_id"],
        row["key"],
        queries.first_time(conn, **where),
        row["latest_time"],
        queries.reading_interval(conn, **where) if question.coverage else None,
    )


def _etag(question: Question, state: Row) -> str:
    """Name the answer by the question and the version of the data it rests on.

    A range that lies below the horizon as a whole changes only when something late is written.
    """
    closed = question.end_us <= to_us(state["horizon"])
    version = state["late_version"] if closed else state["data_version"]
    asked = (sorted(request.args.items(multi=True)), question.start_us if closed else 0, closed, version)
    return blake2b(repr(asked).encode(), digest_size=12).hexdigest()


def _cacheable(answer: Response, etag: str, device: Row) -> Response:
    answer.set_etag(etag, weak=True)
    # no-cache: keep it, but ask each time whether it still holds. Late data may change any bucket, and the question
    # costs one small query.
    answer.headers["Cache-Control"] = f"{'private' if device['is_private'] else 'public'}, no-cache"
    return answer


def _body(about: bytes, series: list[Iterator[bytes]]) -> Iterator[bytes]:
    yield about[:-1] + b","
    if len(series) == 1:
        yield from series[0]
    else:
        for number, members in enumerate(series):
            yield b"},{" if number else b'"series":[{'
            yield from members
        yield b"}]"
    yield b"}"
