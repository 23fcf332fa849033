"""The OpenAPI document is complete: whoever reads it alone can call everything and knows what may come back."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin

_METHODS = ("get", "post", "put", "patch", "delete")


class Operation(NamedTuple):
    name: str
    doc: dict[str, Any]
    parameters: list[dict[str, Any]]


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    return app.test_client().get("/openapi.json").json


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(
            f"{method.upper()} {path}", item[method], item.get("parameters", []) + item[method].get("parameters", [])
        )
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]


def resolved(document: dict[str, Any], thing: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference where there is one."""
    while "$ref" in thing:
        path = thing["$ref"].removeprefix("#/").split("/")
        thing = document
        for key in path:
            thing = thing[key]
    return thing


def test_every_route_is_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    undocumented = (
        "api-docs.",
        "docs.",
        "oauth.",
        "pages.",
        "static",
        "ui_session.",
    )  # pages, and what has its own standard
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(undocumented)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}

    assert {(method, FlaskPlugin.flaskpath2openapi(rule)) for method, rule in routes} - documented == set()


def test_every_operation_has_a_summary_a_tag_and_an_id_of_its_own(operations: list[Operation]) -> None:
    ids = [operation.doc["operationId"] for operation in operations]

    assert [o.name for o in operations if not o.doc.get("summary", "").endswith(".")] == []
    assert [o.name for o in operations if not o.doc.get("tags")] == []
    assert sorted({name for name in ids if ids.count(name) > 1}) == []


def test_every_tag_is_described(document: dict[str, Any], operations: list[Operation]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag.get("description")}

    assert {tag for operation in operations for tag in operation.doc["tags"]} - described == set()


def test_every_parameter_has_a_description_and_an_example(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    """For path parameters both stand in app/openapi.py, for others in the metadata of the schema's field."""
    wanting = {
        f"{operation.name} {parameter['name']}"
        for operation in operations
        for parameter in (resolved(document, parameter) for parameter in operation.parameters)
        if not parameter.get("description") or "example" not in parameter
    }

    assert sorted(wanting) == []


def test_every_answer_has_a_schema(document: dict[str, Any], operations: list[Operation]) -> None:
    wanting = [
        f"{operation.name} {status}"
        for operation in operations
        for status, response in operation.doc["responses"].items()
        if status not in ("204", "304") and not status.startswith("3")
        if not list(_schemas(resolved(document, response)))
    ]

    assert wanting == []


def test_every_header_of_an_answer_has_a_schema(document: dict[str, Any], operations: list[Operation]) -> None:
    """Without one validators and generators refuse the whole document."""
    wanting = [
        f"{operation.name} {status} {name}"
        for operation in operations
        for status, response in operation.doc["responses"].items()
        for name, header in resolved(document, response).get("headers", {}).items()
        if "schema" not in resolved(document, header)
    ]

    assert wanting == []


def _schemas(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for content in response.get("content", {}).values():
        if content.get("schema"):
            yield content["schema"]


def test_every_error_has_the_same_shape(document: dict[str, Any], operations: list[Operation]) -> None:
    """Written once, in app/openapi.py: a view's alt_response needs a status and a description only.

    One that says more has a schema that inherits from ErrorSchema.
    """
    shape = document["components"]["schemas"]["Error"]
    others = [
        f"{operation.name} {status}"
        for operation in operations
        for status, response in operation.doc["responses"].items()
        if status == "default" or status >= "400"
        for schema in _schemas(resolved(document, response))
        if not shape["properties"].items() <= resolved(document, schema)["properties"].items()
    ]

    assert others == []


def test_the_document_says_what_any_operation_may_answer(document: dict[str, Any]) -> None:
    said = document["info"]["description"]

    assert [status for status in ("409", "429", "503") if status not in said] == []


def test_every_operation_says_whether_one_must_sign_in(document: dict[str, Any], operations: list[Operation]) -> None:
    schemes = set(document["components"]["securitySchemes"])

    assert [o.name for o in operations if "security" not in o.doc] == []
    assert {name for o in operations for way in o.doc["security"] for name in way} - schemes == set()


def test_no_schema_stands_twice_under_numbered_names(document: dict[str, Any]) -> None:
    """apispec numbers a schema that is used with other modifiers (only, partial): make it a class with a name."""
    assert [name for name in document["components"]["schemas"] if name[-1].isdigit()] == []


def test_an_operation_says_which_tokens_it_does_not_take(document: dict[str, Any]) -> None:
    make, listed, devices = (
        document["paths"]["/v0/me/tokens"]["post"],
        document["paths"]["/v0/me/tokens"]["get"],
        document["paths"]["/v0/devices"]["get"],
    )

    assert make["security"] == [{"bearer": []}, {"basic": []}]
    assert listed["security"] == [{"bearer": ["account"]}, {"oauth2": ["account"]}, {"basic": []}]
    assert {"403"} <= make["responses"].keys() & listed["responses"].keys() & devices["responses"].keys()
