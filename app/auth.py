"""Who is asking: the user of a bearer token or of HTTP basic credentials, or nobody."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Response, g, request
from flask_jwt_extended import JWTManager, get_jwt_identity, verify_jwt_in_request

from app.database import connection
from app.errors import envelope, refuse
from app.passwords import password_matches
from sql import Row, queries

P = ParamSpec("P")
T = TypeVar("T")

jwt = JWTManager()


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="almanac", Basic realm="almanac"'}


def _unauthorized(message: str) -> Response:
    answer = envelope(401, message)
    answer.headers.update(_CHALLENGE)
    return answer


@jwt.invalid_token_loader
def _invalid(reason: str) -> Response:
    return _unauthorized(f"the access token is not valid: {reason}")


@jwt.expired_token_loader
def _expired(header: Row, payload: Row) -> Response:
    return _unauthorized("the access token has expired: sign in again with POST /v0/sessions")


def current_user() -> Row | None:
    """Return the row of the asking user, or None for nobody. A wrong token or password is refused, not ignored."""
    if "user" not in g:
        g.user = _identify()
    user: Row | None = g.user
    return user


def _identify() -> Row | None:
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        with connection() as conn:
            user: Row | None = queries.user_by_login(conn, login=basic.username or "")
        if not password_matches(user["password_hash"] if user else None, basic.password or ""):
            refuse(401, "wrong username or password", headers=_CHALLENGE)
        return user
    if verify_jwt_in_request(optional=True) is None:
        return None
    with connection() as conn:
        user = queries.user_by_id(conn, id=int(get_jwt_identity()))
    if user is None:
        refuse(401, "the account of this access token is gone", headers=_CHALLENGE)
    return user


def signed_in(view: Callable[P, T]) -> Callable[P, T]:
    """Let a view be called by a user only; others get 401."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        if current_user() is None:
            refuse(401, "sign in: send a bearer token or HTTP basic credentials", headers=_CHALLENGE)
        return view(*args, **kwargs)

    return wrapped
