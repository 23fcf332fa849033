"""Sign up, and look after one's account."""

import logging
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from redis import RedisError

from app.accounts import FieldError, archive_account, change_account, create_account, restore_account
from app.api.references import id_in
from app.api.respond import answer
from app.auth import current_asker, signed_in, signed_in_user
from app.database import connection
from app.errors import invalid, not_found, refuse
from app.jobs.accounts import mail_account_changed
from app.mail import send_later
from app.policy import is_admin, may_change_user, require_admin
from app.schemas.accounts import SignUp, User, UserChanges
from app.schemas.base import Done
from app.user_records import show_own
from app.wire.users import user_json
from sql import DictConnection, Row, queries

log = logging.getLogger(__name__)

# Who has these has the account: a token that is good for less must not get at them.
_IN_PERSON = {"email": "e-mail address", "password": "password", "role": "role"}

blueprint = Blueprint("accounts", __name__, description="Accounts")


@blueprint.post("/users")
@blueprint.arguments(SignUp)
@blueprint.response(201, User)
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
def sign_up(fields: dict[str, Any]) -> Response:
    """Sign up."""
    _keep_role_to_admins(fields)
    with connection() as conn:
        try:
            user_id = create_account(conn, **fields)
        except FieldError as error:
            invalid(422, **{error.field: error.reason})
        user = user_json(queries.user_by_id(conn, id=user_id), [], own=True)
    try:
        send_later("welcome", user["email"], username=user["username"])
    except RedisError:
        log.exception("no welcome mail", extra={"user_id": user_id})  # the account is there, and that is what counts
    return answer(user, 201)


@blueprint.get("/me")
@blueprint.response(200, User)
@signed_in
def me() -> Response:
    """Show the signed-in user."""
    with connection() as conn:
        return answer(show_own(conn, signed_in_user()["id"]))


@blueprint.route("/me", methods=["PATCH", "PUT"])
@blueprint.arguments(UserChanges)
@blueprint.response(200, User)
@blueprint.alt_response(403, description="a private token or an application cannot change the address or the password")
@blueprint.alt_response(422, description="a field is malformed or taken")
@signed_in
def change_me(fields: dict[str, Any]) -> Response:
    """Change your account; what is not sent stays. A new password ends your other sessions."""
    return _change(signed_in_user(), fields)


@blueprint.delete("/me")
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="a private token or an application cannot do this")
@signed_in
def archive_me() -> Response:
    """Close your account: it and its devices are hidden at once, and deleted after 30 days."""
    return _archive(signed_in_user())


@blueprint.route("/users/<id_or_username>", methods=["PATCH", "PUT"])
@blueprint.arguments(UserChanges)
@blueprint.response(200, User)
@blueprint.alt_response(403, description="it is not your account")
@blueprint.alt_response(404, description="there is no such user")
@blueprint.alt_response(422, description="a field is malformed or taken")
@signed_in
def change_user(fields: dict[str, Any], id_or_username: str) -> Response:
    """Change an account: your own, or as an admin anybody's."""
    return _change(_changeable(id_or_username), fields)


@blueprint.delete("/users/<id_or_username>")
@blueprint.response(200, Done)
@blueprint.alt_response(403, description="it is not your account")
@blueprint.alt_response(404, description="there is no such user")
@signed_in
def archive_user(id_or_username: str) -> Response:
    """Close an account, your own or as an admin anybody's: it and its devices are hidden, and deleted after 30 days."""
    return _archive(_changeable(id_or_username))


@blueprint.post("/users/<id_or_username>/restore")
@blueprint.response(200, User)
@blueprint.alt_response(403, description="you are no admin")
@blueprint.alt_response(404, description="there is no such user in the trash")
@signed_in
def restore_user(id_or_username: str) -> Response:
    """Bring back an account that was closed less than 30 days ago, with its devices."""
    require_admin()
    with connection() as conn:
        user = queries.archived_user_by_name(conn, id=id_in(id_or_username), username=id_or_username)
        if user is None or not restore_account(conn, user["id"]):
            not_found("closed account", id_or_username)
        return answer(show_own(conn, user["id"]))


def find_user(conn: DictConnection, id_or_username: str) -> Row:
    """Return the account of an id or a username; answer 404 where there is none, or it is closed."""
    user: Row | None = queries.user_by_name(conn, id=id_in(id_or_username), username=id_or_username)
    if user is None:
        not_found("user", id_or_username)
    return user


def _changeable(id_or_username: str) -> Row:
    with connection() as conn:
        user = find_user(conn, id_or_username)
    if not may_change_user(user["id"]):
        refuse(403, f"{user['username']} is not your account")
    return user


def _keep_role_to_admins(fields: dict[str, Any]) -> None:
    """Drop the role that somebody else sends: clients send back all that they got."""
    if "role" in fields and not is_admin():
        del fields["role"]


def _change(user: Row, fields: dict[str, Any]) -> Response:
    _keep_role_to_admins(fields)
    asker = current_asker()
    grave = {name: what for name, what in _IN_PERSON.items() if name in fields and fields[name] != user.get(name)}
    if grave:
        _require_person()
    with connection() as conn:
        try:
            if not change_account(conn, user, fields, asker.session_id if asker else None):
                not_found("user", user["username"])
        except FieldError as error:
            invalid(422, **{error.field: error.reason})
        changed = show_own(conn, user["id"])
    for what in grave.values():
        mail_account_changed(user, what)
    return answer(changed)


def _require_person() -> None:
    asker = current_asker()
    if asker is None or not asker.in_person:
        refuse(403, "no private token and no application may do this: sign in with the password")


def _archive(user: Row) -> Response:
    _require_person()
    with connection() as conn:
        archive_account(conn, user["id"])
    return answer({"message": "OK"})
