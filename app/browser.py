"""Who sits at the browser: a signed cookie for our own pages, which names a session of the database.

No route of the API looks at it but the stream's, which changes nothing. Pages that change something take forms alone,
and a form without the token that this browser was given with the page changes nothing.
"""

import secrets
from datetime import timedelta

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from app.clients import asking_client
from app.config import Config
from app.database import connection
from sql import Row, queries

_LIFETIME = timedelta(hours=12)


class _Cookies(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) not in request.cookies:
            return SecureCookieSession()  # as Flask does, but that it first makes what would read the cookie
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def init_app(app: Flask, config: Config) -> None:
    app.secret_key = config.secret_key
    app.session_interface = _Cookies()
    app.config.update(SESSION_COOKIE_NAME="almanac", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax")


def remember(user: Row | None) -> None:
    """Let this browser be this user's, for 12 hours or until it is closed; None: nobody's any more."""
    with connection() as conn:
        if known := session.get("id"):
            queries.revoke_session(conn, id=known)
        session.clear()
        if user is not None:
            session["id"] = str(
                queries.insert_session(
                    conn,
                    user_id=user["id"],
                    application_id=None,
                    scopes=[],
                    refresh_hash=None,
                    code_hash=None,
                    lifetime=_LIFETIME,
                    **asking_client(),
                )
            )


def remembered_user() -> Row | None:
    """Return whose browser this is, or None."""
    if "id" not in session:
        return None
    with connection() as conn:
        user: Row | None = queries.user_by_session(conn, id=session["id"])
    return user


def form_token() -> str:
    """Return what a form of this page must send back as `form_token`."""
    if "form_token" not in session:
        session["form_token"] = secrets.token_urlsafe(24)
    return str(session["form_token"])


def check_form() -> bool:
    """Whether the form that was sent is one that this browser got from us."""
    # A browser that got no page of ours, or keeps its cookie from a site, has none.
    expected = session.get("form_token")
    given = request.form.get("form_token", "")
    return expected is not None and secrets.compare_digest(given.encode(), str(expected).encode())
