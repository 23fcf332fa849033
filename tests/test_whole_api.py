"""Schemathesis over the whole OpenAPI document: whatever is sent, by whomever, no 500, and every answer as it says.

It has a database of its own: what it sends changes the catalogue too. The cases are the same in every run; to look for
more, raise EXAMPLES.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from conftest import NO_LIMITS, empty_database, prepare
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from world import PATHS, World

from app.config import Config
from app.factory import create_app
from sql import DictConnection, connect

EXAMPLES = 4  # of each operation, for each caller, of what is well formed and of what is not

ENDLESS = {"/v0/stream", "/v0/onboarding/device/stream"}  # tests/test_stream.py reads it

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def own_database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(tmp_path_factory.mktemp("database")) as url:
        prepare(url)
        yield url


@pytest.fixture(scope="module")
def own_app(own_database_url: str, redis_url: str) -> Flask:
    return create_app(Config(own_database_url, redis_url, secrets.token_urlsafe(32), pool_size=4, **NO_LIMITS))


@pytest.fixture(scope="module")
def own_conn(own_database_url: str) -> Iterator[DictConnection]:
    with connect(own_database_url) as conn:
        yield conn


@pytest.fixture(scope="module")
def operations(own_app: Flask) -> list[APIOperation]:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", own_app)
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize(
    ("caller", "mode"),
    [
        ("nobody", GenerationMode.POSITIVE),
        ("owner", GenerationMode.POSITIVE),
        ("admin", GenerationMode.POSITIVE),
        ("owner", GenerationMode.NEGATIVE),
    ],
    ids=["nobody", "owner", "admin", "owner, malformed"],
)
def test_every_answer_is_one_that_the_document_names(
    own_app: Flask,
    own_conn: DictConnection,
    operations: list[APIOperation],
    caller: str,
    mode: GenerationMode,
) -> None:
    wrong = {}
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue
        if operation.path in ENDLESS:
            continue
        world = World(own_app, own_conn, "public")
        token = world.bearer(caller, None)
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        names = [parameter.name for parameter in operation.path_parameters]
        known = {name: PATHS[name](world) for name in names if name in PATHS}
        try:
            try_out(operation, mode, known, headers)
        except Unsatisfiable:
            # any text will do for it, so that nothing is malformed
            assert mode is GenerationMode.NEGATIVE, f"nothing can be sent to {operation.label}"
        except (Exception, FailureGroup) as error:
            wrong[operation.label] = str(error)

    assert not wrong, "\n\n".join(f"{name}\n{reason}" for name, reason in wrong.items())


def try_out(operation: APIOperation, mode: GenerationMode, known: dict[str, Any], headers: dict[str, str]) -> None:
    """Send cases of what a document allows, or of what it does not, half of them about things that exist."""
    cases = operation.as_strategy(mode)
    if known and set(known) == {parameter.name for parameter in operation.path_parameters}:
        cases = st.one_of(operation.as_strategy(mode, path_parameters=known), cases)

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    send()
