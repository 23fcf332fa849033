"""Sessions: access tokens, one refresh token that is good for one use, and an end that ends them all.

An access token is a JWT that names its session. Every request reads the session with its user, in one query, so
signing out, a new password and an archived account hold from the next request on. That is why an access token may last
a day, which those clients need that know nothing of refresh tokens.
"""

import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask_jwt_extended import create_access_token

from app.clients import Client, asking_client
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries

ACCESS_LIFETIME = timedelta(days=1)
SESSION_LIFETIME = timedelta(days=30)  # since it began or was refreshed


class RefreshError(Exception):
    """The refresh token is not valid; if it was once, its session has been ended."""


def begin_session(
    conn: DictConnection,
    user_id: int,
    scopes: list[str],
    *,
    access_lifetime: timedelta = ACCESS_LIFETIME,
    application_id: int | None = None,
    code_hash: bytes | None = None,
    refreshable: bool = True,
) -> Row:
    """Begin a session and return its tokens as an answer in the form of RFC 6749, section 5.1."""
    secret = secrets.token_urlsafe(32) if refreshable else None
    session_id = queries.insert_session(
        conn,
        user_id=user_id,
        application_id=application_id,
        scopes=scopes,
        refresh_hash=hash_token(secret) if secret else None,
        code_hash=code_hash,
        lifetime=SESSION_LIFETIME if refreshable else access_lifetime,
        **_seen(application_id),
    )
    return _tokens(session_id, user_id, scopes, access_lifetime, secret)


def find_refreshable(conn: DictConnection, refresh_token: str, application_id: int | None = None) -> Row:
    """Return the session of a refresh token of this application, None: of a sign-in. Raises RefreshError.

    A token that was used before is in two hands, and we cannot know which is the thief's: the session ends.
    """
    session_id, _, secret = refresh_token.partition(".")
    try:
        session: Row | None = queries.session_to_refresh(conn, id=UUID(session_id))
    except ValueError:
        session = None
    if session is None or session["application_id"] != application_id:
        raise RefreshError
    session["old_hash"] = hash_token(secret)
    if not secrets.compare_digest(bytes(session["refresh_hash"] or b""), session["old_hash"]):
        queries.revoke_session(conn, id=session["id"])
        raise RefreshError
    return session


def refresh_session(
    conn: DictConnection, session: Row, scopes: list[str] | None = None, access_lifetime: timedelta = ACCESS_LIFETIME
) -> Row:
    """Return new tokens for what find_refreshable returned; its refresh token is void now. Raises RefreshError."""
    secret = secrets.token_urlsafe(32)
    rotated = queries.rotate_session(
        conn,
        id=session["id"],
        old_hash=session["old_hash"],
        new_hash=hash_token(secret),
        lifetime=SESSION_LIFETIME,
        **_seen(session["application_id"]),
    )
    if not rotated:  # somebody was faster with the same token
        queries.revoke_session(conn, id=session["id"])
        raise RefreshError
    return _tokens(session["id"], session["user_id"], scopes or session["scopes"], access_lifetime, secret)


def _seen(application_id: int | None) -> Client:
    """What the user knows the session by; an application has a name, and calls from a server of its own."""
    return asking_client() if application_id is None else {"client": None, "network": None}


def access_token(session_id: UUID | str, user_id: int, scopes: Iterable[str], lifetime: timedelta) -> str:
    """Return an access token of a session, good for these scopes."""
    claims = {"sid": str(session_id), "scope": " ".join(scopes)}
    token: str = create_access_token(str(user_id), expires_delta=lifetime, additional_claims=claims)
    return token


def _tokens(session_id: UUID, user_id: int, scopes: list[str], lifetime: timedelta, secret: str | None) -> Row:
    answer: dict[str, Any] = {
        "access_token": access_token(session_id, user_id, scopes, lifetime),
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
        "scope": " ".join(scopes),
    }
    if secret is not None:
        answer["refresh_token"] = f"{session_id}.{secret}"
    return answer
