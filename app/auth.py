"""Who is asking: the user of a bearer token or of HTTP basic credentials, or nobody.

Views use three things:

- `@signed_in` over a view that only a user may call;
- `signed_in_user()` for the user's row in such a view, `current_user()` in others: None for nobody;
- app/policy.py for what that user may see and change.

Scopes need nothing in a view: app/scopes.py says which one each operation asks for, and `current_user` refuses a token
that lacks it. A new blueprint needs a line there; without it only sessions are let in, no limited token.
"""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar
from uuid import UUID

from flask import g, request
from flask_jwt_extended import JWTManager, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from flask_smorest import Blueprint
from jwt import ExpiredSignatureError, PyJWTError
from werkzeug.exceptions import HTTPException

from app.database import connection
from app.errors import refuse
from app.openapi import SIGNED_IN
from app.passwords import hash_password, outdated, password_matches
from app.rate_limits import count_wrong_guess, refuse_guesses, trust_address
from app.scopes import ALL, scope_of, takes_token_in_query
from ingestor.tokens import hash_token
from sql import Row, queries

P = ParamSpec("P")
T = TypeVar("T")

PRIVATE_TOKEN_PREFIX = "almanac_"  # noqa: S105 - lets programs that look for leaked secrets find ours

jwt = JWTManager()

# No Basic here: a browser that is offered it keeps the password, and then any page can ask in the user's name.
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="almanac"'}


class Asker(NamedTuple):
    """Somebody who has shown who they are, and how."""

    user: Row
    scopes: frozenset[str]
    session_id: UUID | None = None
    in_person: bool = False  # with the password, not through a private token or an application
    expires_at: float | None = None  # Unix time, of an access token


def current_user() -> Row | None:
    """Return the row of the asking user, or None for nobody.

    What is wrong is refused, not ignored: a token or password that is not valid with 401, a token without the
    operation's scope with 403.
    """
    asker = current_asker()
    if asker is None:
        return None
    scope = scope_of(request.method, request.endpoint or "")
    if scope != "" and scope not in asker.scopes and not asker.in_person:
        challenge = f'Bearer realm="almanac", error="insufficient_scope", scope="{scope}"'
        needed = f"needs the scope {scope}" if scope else "takes no token with limited scopes: sign in"
        message = f"this operation {needed}; your token has {' '.join(sorted(asker.scopes)) or 'none'}"
        refuse(403, message, headers={"WWW-Authenticate": challenge})
    return asker.user


def current_asker() -> Asker | None:
    """Return who is asking, whatever their token is good for; 401 for a token or password that is not valid."""
    if "asker" not in g:
        try:
            g.asker = _identify()
        except HTTPException as error:
            g.asker = error
    asker: Asker | HTTPException | None = g.asker
    if isinstance(asker, HTTPException):
        raise asker
    return asker


def holds(scope: str) -> bool:
    """Whether what the asking user has shown is good for a scope, be it the operation's or not."""
    asker = current_asker()
    return asker is not None and (asker.in_person or scope in asker.scopes)


def signed_in_user() -> Row:
    """Return the row of the asking user; 401 for nobody, as `signed_in` does."""
    user = current_user()
    if user is None:
        _unauthorized("sign in: send a bearer token or HTTP basic credentials")
    return user


def refuse_bad_credentials() -> None:
    """Refuse a token or password that is no good wherever a good one could make a difference, before the view."""
    if scope_of(request.method, request.endpoint or ""):
        current_user()


def signed_in(view: Callable[P, T]) -> Callable[P, T]:
    """Let a view be called by a user only; others get 401. The OpenAPI document says so too."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        signed_in_user()
        return view(*args, **kwargs)

    documented: Callable[P, T] = Blueprint.doc(security=SIGNED_IN)(wrapped)
    return documented


def _identify() -> Asker | None:
    if request.blueprint == "oauth":
        return None  # the credentials there are an application's
    given = request.authorization
    if given is not None and given.type == "basic":
        return _by_password(given.username or "", given.password or "")
    token = given.token if given is not None and given.type == "bearer" else None
    if token is None and request.url_rule and takes_token_in_query(request.method, request.url_rule.rule):
        token = request.args.get("access_token")
    if not token:
        if request.headers.get("Authorization"):
            _unauthorized("the header Authorization holds neither `Bearer` and a token nor HTTP basic credentials")
        return None
    return _by_private_token(token) if token.startswith(PRIVATE_TOKEN_PREFIX) else _by_access_token(token)


def user_by_password(login: str, password: str) -> Row | None:
    """Return the user of these credentials, or None; nobody can tell from the time whether there is such a user.

    Who has guessed too often is refused with 429; without Redis, which knows how often, everybody with 503.
    """
    with connection() as conn:
        user: Row | None = queries.user_by_login(conn, login=login.replace("\0", ""))
    if user is not None:  # what counts guesses must not take another spelling for another login
        login = user["email"] if "@" in login[1:] else user["username"]
    refuse_guesses(login)
    if not password_matches(user["password_hash"] if user else None, password) or user is None:
        count_wrong_guess(login)
        return None
    trust_address(user["username"], user["email"])
    if outdated(user["password_hash"]):
        with connection() as conn:
            queries.set_password_hash(conn, id=user["id"], password_hash=hash_password(password))
    return user


def _by_password(login: str, password: str) -> Asker:
    user = user_by_password(login, password)
    if user is None:
        _unauthorized("wrong username or password")
    return Asker(user, ALL, in_person=True)


def _by_private_token(token: str) -> Asker:
    with connection() as conn:
        user: Row | None = queries.user_by_private_token(conn, hash=hash_token(token))
        if user is None:
            _unauthorized("the private token is not valid: it has expired or was revoked")
        queries.touch_private_token(conn, id=user["token_id"])
    return Asker(user, frozenset(user["token_scopes"]))


def _by_access_token(token: str) -> Asker:
    try:
        claims = decode_token(token)
        session_id = UUID(claims["sid"])
    except ExpiredSignatureError:
        _unauthorized("the access token has expired: refresh it, or sign in again with POST /v0/sessions")
    except (PyJWTError, JWTExtendedException, KeyError, ValueError):
        _unauthorized("the access token is not valid")
    with connection() as conn:
        user: Row | None = queries.user_by_session(conn, id=session_id)
    if user is None:
        _unauthorized("the session of this access token has ended: sign in again")
    in_person = user["application_id"] is None
    return Asker(user, frozenset(claims["scope"].split()), session_id, in_person, claims["exp"])


def _unauthorized(message: str) -> NoReturn:
    refuse(401, message, headers=_CHALLENGE)
