"""Every operation of the OpenAPI document, called by everybody: tests/who_may_what.py says what each must get.

An operation that has no rows there fails here, and the failure says what everybody gets today: judge it, then add it.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from who_may_what import CALLERS, DEVICES, Row, read_table
from world import BODIES, PATHS, QUERIES, World

from app.scopes import scope_of
from sql import DictConnection

ROWS = read_table()


@pytest.fixture(scope="module")
def endpoints(app: Flask) -> dict[str, str]:
    """The function behind each operation, by `METHOD /path`."""
    return {
        f"{method} {FlaskPlugin.flaskpath2openapi(rule.rule)}": rule.endpoint
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


@pytest.fixture(scope="module")
def operations(app: Flask) -> set[str]:
    paths = app.test_client().get("/openapi.json").json["paths"]
    return {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }


@pytest.fixture
def call(app: Flask, conn: DictConnection, endpoints: dict[str, str]) -> Callable[[str, str], dict[str, int]]:
    """Calls an operation as everybody, on a device of a kind, and returns the statuses by caller."""

    def call(operation: str, device: str) -> dict[str, int]:
        method, path = operation.split()
        statuses, world, used = {}, World(app, conn, device), False
        for caller in CALLERS:
            if used:
                world = World(app, conn, device)
            options: dict[str, Any] = {"query_string": QUERIES.get(operation)}
            token = world.bearer(caller, scope_of(method, endpoints[operation]))
            if token is not None:
                options["headers"] = {"Authorization": f"Bearer {token}"}
            if method not in ("GET", "DELETE"):
                options["json"] = BODIES[operation](world) if operation in BODIES else {}
            values = {name: make(world) for name, make in PATHS.items() if f"{{{name}}}" in path}
            answer = app.test_client().open(path.format(**values), method=method, **options)
            statuses[caller] = answer.status_code
            used = method != "GET" and answer.status_code < 400  # who is refused changes nothing
        return statuses

    return call


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.operation} {row.device}")
def test_everybody_gets_what_the_table_says(row: Row, call: Callable[[str, str], dict[str, int]]) -> None:
    assert call(row.operation, row.device) == row.statuses


def test_the_table_holds_every_operation_and_no_other(
    operations: set[str], call: Callable[[str, str], dict[str, int]]
) -> None:
    missing, gone = operations - {row.operation for row in ROWS}, {row.operation for row in ROWS} - operations

    assert gone == set(), "these are no operations any more: take their rows out of tests/who_may_what.py"
    if missing:
        pytest.fail(
            "these have no rows in tests/who_may_what.py; today they answer, right or wrong:\n"
            + "\n".join(line for operation in sorted(missing, key=str.split) for line in _as_lines(operation, call))
        )


def _as_lines(operation: str, call: Callable[[str, str], dict[str, int]]) -> list[str]:
    """Return rows for the table with what an operation answers today."""
    lines = []
    for device in DEVICES if "{device_id}" in operation else ("-",):
        method, path = operation.split()
        name = f"{method:6} {path}" if not lines else ""
        try:
            statuses = "   ".join(str(status) for status in call(operation, device).values())
        except KeyError as error:
            statuses = f"add {error} to PATHS, so that this can be called"
        lines.append(f"{name:46} {device:11}  {statuses}")
    return lines


def test_a_device_has_a_row_for_each_of_its_kinds() -> None:
    kinds = {operation: {row.device for row in ROWS if row.operation == operation} for operation, *_ in ROWS}

    assert {name: kind for name, kind in kinds.items() if kind not in ({"-"}, set(DEVICES))} == {}


def test_every_operation_asks_for_a_scope_or_for_a_person_or_is_open_to_all(
    endpoints: dict[str, str], operations: set[str]
) -> None:
    """A new blueprint needs a line in app/scopes.py; without one no limited token is let in."""
    open_to_all = {"accounts.sign_up", "health", "password_resets", "sessions"}
    in_person = {"applications", "forwarding.create", "tokens.create", "webhooks"}
    nameless = {
        endpoint
        for endpoint, method in ((endpoints[operation], operation.split()[0]) for operation in operations)
        if scope_of(method, endpoint) is None and not {endpoint, endpoint.partition(".")[0]} & (open_to_all | in_person)
    }

    assert nameless == set()


def test_a_token_to_read_with_changes_nothing(endpoints: dict[str, str], operations: set[str]) -> None:
    """The table takes each operation's scope from app/scopes.py, so that it is the right one is said here."""
    asks_or_orders_a_file = {
        *("archives", "calibrations.preview", "exports"),
        *("sending.add", "sending.clock"),  # which know devices by their MAC addresses, whatever is the token
    }
    too_easy = {
        operation
        for operation in operations
        for method, endpoint in [(operation.split()[0], endpoints[operation])]
        if method != "GET" and scope_of(method, endpoint) in ("", "devices:read", "readings:read")
        if not {endpoint, endpoint.partition(".")[0]} & asks_or_orders_a_file
    }

    assert too_easy == set()


@pytest.mark.parametrize(
    "operation",
    [
        "GET /v0/devices/{device_id}/readings",
        "GET /v0/devices/{device_id}/readings/summary",
        "GET /v0/experiments/{experiment_id}/readings",
        "GET /v0/quarantine",
        "GET /v0/stream",
        "GET /v0/exports",
        "GET /v0/archives",
        "GET /v0/devices/{device_id}/uploads",
    ],
)
def test_readings_ask_for_a_token_that_reads_them(endpoints: dict[str, str], operation: str) -> None:
    assert scope_of("GET", endpoints[operation]) == scope_of("HEAD", endpoints[operation]) == "readings:read"


def test_the_document_asks_for_a_sign_in_where_nobody_gets_in_without(app: Flask) -> None:
    paths = app.test_client().get("/openapi.json").json["paths"]
    answers: dict[str, set[int]] = {}
    for row in ROWS:
        answers.setdefault(row.operation, set()).add(row.statuses["nobody"])
    wrong = []
    for operation, statuses in answers.items():
        method, path = operation.split()
        is_optional = {} in paths[path][method.lower()]["security"]
        is_refused = statuses <= {401, 403, 404} and statuses != {404} and "{signature}" not in path
        if is_optional == is_refused and statuses != {404}:
            wrong.append(operation)

    assert wrong == []
