"""Register applications that act for users through OAuth2."""

import secrets
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.errors import invalid, not_found, refuse
from app.policy import owns
from app.schemas.applications import Application, ApplicationChanges, MadeApplication, NewApplication
from app.schemas.base import Done
from app.schemas.paging import Paging
from ingestor.tokens import hash_token
from sql import Row, queries

blueprint = Blueprint("applications", __name__, description="Applications that act for users, by OAuth2")


@blueprint.get("/applications")
@blueprint.arguments(Paging, location="query")
@blueprint.response(200, Application(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List the applications that you have registered, newest first."""
    page, owner_id = Page.of(query), signed_in_user()["id"]
    with connection() as conn:
        applications = queries.applications_of_user(conn, owner_id=owner_id, **page.window)
        total = queries.count_applications_of_user(conn, owner_id=owner_id)
    return answer_page([_json(row) for row in applications], total, page)


@blueprint.post("/applications")
@blueprint.arguments(NewApplication)
@blueprint.response(201, MadeApplication)
@blueprint.alt_response(422, description="a field is missing or malformed")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Register an application; the answer is the only one that ever shows its secret."""
    secret = secrets.token_urlsafe(32) if fields.pop("confidential") else None
    fields.setdefault("redirect_uris", [])
    if secret is None and not fields["redirect_uris"]:
        invalid(422, redirect_uris="is missing: without a secret there is no other way to its tokens")
    with connection() as conn:
        application_id = queries.insert_application(
            conn,
            owner_id=signed_in_user()["id"],
            client_id=secrets.token_urlsafe(16),
            secret_hash=hash_token(secret) if secret else None,
            **fields,
        )
        return answer({**_json(queries.application_by_id(conn, id=application_id)), "client_secret": secret}, 201)


@blueprint.get("/applications/<int:application_id>")
@blueprint.response(200, Application)
@signed_in
def show(application_id: int) -> Response:
    """Show an application of yours."""
    return answer(_json(_own(application_id)))


@blueprint.route("/applications/<int:application_id>", methods=["PATCH", "PUT"])
@blueprint.arguments(ApplicationChanges)
@blueprint.response(200, Application)
@blueprint.alt_response(422, description="a field is malformed")
@signed_in
def change(fields: dict[str, Any], application_id: int) -> Response:
    """Change an application; what is not sent stays, and so do the sessions it has."""
    with connection() as conn, conn.transaction():
        row = _owned(queries.application_to_change(conn, id=application_id), application_id)
        described = {key: fields.get(key, row[key]) for key in ("name", "redirect_uris", "scopes")}
        queries.update_application(conn, id=application_id, **described)
        return answer(_json(queries.application_by_id(conn, id=application_id)))


@blueprint.post("/applications/<int:application_id>/secret")
@blueprint.response(200, MadeApplication)
@blueprint.alt_response(422, description="the application is not confidential")
@signed_in
def change_secret(application_id: int) -> Response:
    """Get another secret for an application, shown this once; the old one is void now."""
    row = _own(application_id)
    if row["secret_hash"] is None:
        refuse(422, f"application {application_id} is not confidential, so it has no secret")
    secret = secrets.token_urlsafe(32)
    with connection() as conn:
        queries.set_application_secret(conn, id=application_id, secret_hash=hash_token(secret))
    return answer({**_json(row), "client_secret": secret})


@blueprint.delete("/applications/<int:application_id>")
@blueprint.response(200, Done)
@signed_in
def delete(application_id: int) -> Response:
    """Delete an application; whatever it had access to, it has no more."""
    _own(application_id)
    with connection() as conn:
        queries.delete_application(conn, id=application_id)
    return answer({"message": "OK"})


def _own(application_id: int) -> Row:
    with connection() as conn:
        return _owned(queries.application_by_id(conn, id=application_id), application_id)


def _owned(row: Row | None, application_id: int) -> Row:
    if row is None or not owns(row):
        not_found("application", application_id)
    return row


def _json(row: Row) -> Row:
    keys = ("id", "name", "client_id", "redirect_uris", "scopes", "created_at", "updated_at")
    return {**{key: row[key] for key in keys}, "confidential": row["secret_hash"] is not None}
