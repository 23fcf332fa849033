"""Sign in, refresh, sign out; see who else is signed in to one's account, and put them out."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import current_asker, signed_in, signed_in_user, user_by_password
from app.database import connection
from app.errors import not_found, refuse
from app.schemas.base import Done
from app.schemas.paging import Paging
from app.schemas.sessions import OpenSession, Refresh, Session, SignIn
from app.scopes import SCOPES
from app.sessions import RefreshError, begin_session, find_refreshable, refresh_session
from sql import queries

blueprint = Blueprint("sessions", __name__, description="Sessions")


@blueprint.post("/sessions")
@blueprint.arguments(SignIn)
@blueprint.response(200, Session)
@blueprint.alt_response(422, description="wrong username or password")
def sign_in(fields: dict[str, str]) -> Response:
    """Sign in by username or e-mail address."""
    user = user_by_password(fields["username"], fields["password"])
    if user is None:
        refuse(422, "wrong username or password", errors={"password": ["is wrong, or there is no such user"]})
    with connection() as conn:
        return answer(begin_session(conn, user["id"], list(SCOPES)))


@blueprint.post("/sessions/refresh")
@blueprint.arguments(Refresh)
@blueprint.response(200, Session)
@blueprint.alt_response(401, description="the refresh token is not valid, or was used before")
def refresh(fields: dict[str, str]) -> Response:
    """Get a new access token, and a new refresh token in the place of this one."""
    try:
        with connection() as conn:
            return answer(refresh_session(conn, find_refreshable(conn, fields["refresh_token"])))
    except RefreshError:
        refuse(401, "the refresh token is not valid, or was used before: sign in again with POST /v0/sessions")


@blueprint.delete("/sessions")
@blueprint.response(200, Done)
@blueprint.alt_response(400, description="there is no session to end")
@blueprint.alt_response(401, description="not signed in")
def sign_out() -> Response:
    """Sign out: end the session of this access token, and all its tokens."""
    asker = current_asker()  # whatever its scopes, a token may end its own session
    if asker is None or asker.session_id is None:
        refuse(400, "there is no session to end: send the access token of one")
    with connection() as conn:
        queries.revoke_session(conn, id=asker.session_id)
    return answer({"message": "OK"})


@blueprint.get("/sessions")
@blueprint.arguments(Paging, location="query")
@blueprint.response(200, OpenSession(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List the open sessions of your account, newest first: your own, and those of applications that you let in."""
    asker = current_asker()
    current = asker.session_id if asker else None
    page, user_id = Page.of(query), signed_in_user()["id"]
    with connection() as conn:
        sessions = queries.sessions_of_user(conn, user_id=user_id, **page.window)
        total = queries.count_sessions_of_user(conn, user_id=user_id)
    return answer_page([{**session, "current": session["id"] == current} for session in sessions], total, page)


@blueprint.delete("/sessions/<uuid:session_id>")
@blueprint.response(200, Done)
@signed_in
def end(session_id: UUID) -> Response:
    """End a session of your account, and all its tokens: put somebody or some application out."""
    with connection() as conn:
        if not queries.revoke_session_of_user(conn, id=session_id, user_id=signed_in_user()["id"]):
            not_found("session", session_id)
    return answer({"message": "OK"})
