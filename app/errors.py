"""One shape for every error: {"id": slug, "message": sentence, "errors": {field: [reasons]}, "url": ""}."""

from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
from flask import Response, request
from flask_smorest import Api
from marshmallow import Schema, fields
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    default_exceptions,
)

SLUGS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "content_too_large",
    415: "unsupported_media_type",
    422: "unprocessable_entity",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "service_unavailable",
}


class ErrorSchema(Schema):
    """Why a request was refused."""

    id = fields.String(required=True, metadata={"description": "what kind of error", "example": "bad_request"})
    message = fields.String(required=True, metadata={"description": "a sentence for a person"})
    errors = fields.Raw(required=True, metadata={"description": "reasons by field, or an empty string"})
    url = fields.String(required=True, metadata={"description": "where to read more, or an empty string"})


def envelope(status: int, message: str, errors: Any = "", slug: str | None = None) -> Response:
    """Return an error as the wire knows it."""
    body = {"id": slug or SLUGS.get(status, "error"), "message": message, "errors": errors, "url": ""}
    return Response(orjson.dumps(body), status, mimetype="application/json")


def refuse(status: int, message: str, **data: Any) -> NoReturn:
    """Answer with an error; `data` may hold errors, a slug, and headers."""
    error = default_exceptions[status](message)
    error.data = {"message": message, **data}  # type: ignore[attr-defined]
    raise error


def not_found(what: str, value: object) -> NoReturn:
    """Answer 404 for a thing that does not exist, is archived, or must not be known to exist."""
    refuse(404, f"there is no {what} {value}", slug="record_not_found")


def invalid(status: int, **errors: str) -> NoReturn:
    """Answer 400 or 422 with a reason by field."""
    message = "; ".join(f"{field}: {reason}" for field, reason in errors.items())
    refuse(status, message, errors={field: [reason] for field, reason in errors.items()})


class EnvelopedApi(Api):  # type: ignore[misc]
    """flask-smorest with our error shape, in its answers and in the OpenAPI document."""

    ERROR_SCHEMA = ErrorSchema

    def handle_http_exception(self, error: HTTPException) -> Response:
        if error.response is not None:
            return error.response  # type: ignore[return-value]
        data: Mapping[str, Any] = getattr(error, "data", None) or {}
        status = error.code or 500
        errors = data.get("errors", "")
        if "messages" in data:  # webargs: {"json" | "query": {field: [reasons]}}
            errors = _by_field(next(iter(data["messages"].values())))
        message = data.get("message") or _sentence(errors) or _of_the_server(error) or error.description or error.name
        answer = envelope(status, message, errors, data.get("slug"))
        answer.headers.extend((name, value) for name, value in error.get_headers() if name != "Content-Type")
        answer.headers.extend(data.get("headers") or {})
        return answer


def _of_the_server(error: HTTPException) -> str:
    """Say what is wrong with a request that reaches no view; "" where the error says it well itself."""
    if isinstance(error, NotFound):
        return f"there is nothing at {request.path[:200]}: /docs and /openapi.json say what there is"
    if isinstance(error, MethodNotAllowed):
        ways = ", ".join(sorted(error.valid_methods or ()))
        return f"{request.path[:200]} takes {ways}, and not {request.method}"
    if isinstance(error, RequestEntityTooLarge):
        most, of_text = request.max_content_length or 0, request.max_form_memory_size or 0
        return f"at most {most:,} bytes are taken, and of a form {of_text:,} besides its files: send less at once"
    return ""


_NO_FIELDS = ("_schema", "value")  # what marshmallow calls a thing as a whole, and what stands under a key


def _by_field(errors: Any) -> dict[str, list[str]]:
    """Return lists of reasons by field; a field inside another has the way to it as its name, `components.0.key`."""
    if not isinstance(errors, dict):
        return {"body": errors if isinstance(errors, list) else [str(errors)]}
    fields: dict[str, list[str]] = {}
    for field, reasons in errors.items():
        if isinstance(reasons, dict):
            for name, reason in _by_field(reasons).items():
                way = [part for part in name.split(".") if part not in _NO_FIELDS]
                fields[".".join([str(field), *way])] = reason
        else:
            fields[str(field)] = reasons if isinstance(reasons, list) else [str(reasons)]
    return fields


def _sentence(errors: Any) -> str:
    if not isinstance(errors, dict):
        return ""
    return "; ".join(f"{field}: {' '.join(map(str, reasons))}" for field, reasons in errors.items())
