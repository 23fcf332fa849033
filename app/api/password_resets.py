"""A forgotten password: ask for a mail, follow its link, choose another."""

from typing import NoReturn

from flask import Response
from flask_smorest import Blueprint
from redis import RedisError

from app.accounts import FieldError, use_password_reset
from app.api.respond import answer
from app.database import connection
from app.errors import invalid, refuse
from app.jobs.accounts import mail_account_changed, request_password_reset
from app.rate_limits import limit_resets
from app.schemas.accounts import NewPassword, ResetRequest, User
from app.schemas.base import Done
from app.wire.users import user_json
from ingestor.tokens import hash_token
from sql import Row, queries

blueprint = Blueprint("password_resets", __name__, description="Forgotten passwords")


@blueprint.post("/password_resets")
@blueprint.arguments(ResetRequest)
@blueprint.response(200, Done)
@blueprint.alt_response(422, description="neither a username nor an e-mail address is there")
@blueprint.alt_response(503, description="no mail can be sent now")
def create(fields: dict[str, str]) -> Response:
    """Ask for a mail with a link to choose another password; the answer does not tell whether there is an account."""
    try:
        limit_resets(fields["login"])
        request_password_reset(fields["login"])
    except RedisError:
        refuse(503, "no mail can be sent now; try again in a few minutes")
    return answer({"message": "If there is such an account, a mail is on its way to its address."})


@blueprint.get("/password_resets/<token>")
@blueprint.response(200, User)
@blueprint.alt_response(404, description="the link has been used, or is older than an hour")
def show(token: str) -> Response:
    """Show whose password the link is for."""
    user = find_reset(token)
    if user is None:
        _useless()
    return answer(user_json(user, [], own=False))


@blueprint.route("/password_resets/<token>", methods=["PATCH", "PUT"])
@blueprint.arguments(NewPassword)
@blueprint.response(200, User)
@blueprint.alt_response(404, description="the link has been used, or is older than an hour")
@blueprint.alt_response(422, description="the password is too short or too easy to guess")
def use(fields: dict[str, str], token: str) -> Response:
    """Choose another password. The link is used up, and everybody who was signed in is signed out."""
    try:
        user = reset_password(token, fields["password"])
    except FieldError as error:
        invalid(422, **{error.field: error.reason})
    if user is None:
        _useless()
    return answer(user_json(user, [], own=False))


def find_reset(token: str) -> Row | None:
    """Return the account whose password a link is for, None for a useless link."""
    with connection() as conn:
        user: Row | None = queries.user_by_password_reset(conn, hash=hash_token(token))
    return user


def reset_password(token: str, password: str) -> Row | None:
    """Set the password of a link's account, tell its user and return it; None: a useless link. Raises FieldError."""
    with connection() as conn:
        user = use_password_reset(conn, token, password)
    if user is not None:
        mail_account_changed(user, "password")
    return user


def _useless() -> NoReturn:
    refuse(404, "this link has been used, or is older than an hour: ask for another", slug="record_not_found")
