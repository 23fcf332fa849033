"""Sign up, and look after one's account."""

from typing import Any

import psycopg
from flask import Response
from flask_smorest import Blueprint

from app.api.respond import answer
from app.auth import current_user, signed_in
from app.database import connection
from app.errors import invalid, not_found
from app.passwords import hash_password
from app.schemas.accounts import SignUp, User
from app.wire.users import user_json
from sql import DictConnection, queries

blueprint = Blueprint("accounts", __name__, description="Accounts")


@blueprint.post("/users")
@blueprint.arguments(SignUp)
@blueprint.response(201, User)
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
def sign_up(fields: dict[str, Any]) -> Response:
    """Sign up."""
    with connection() as conn:
        try:
            user_id = create_account(conn, role="citizen", **fields)
        except TakenError as error:
            invalid(422, **{error.field: "is taken"})
        return answer(user_json(queries.user_by_id(conn, id=user_id), own=True), 201)


class TakenError(ValueError):
    """Another account has this username or e-mail address."""

    def __init__(self, field: str) -> None:
        super().__init__(f"another account has this {field}")
        self.field = field


def create_account(conn: DictConnection, *, password: str, **fields: Any) -> int:
    """Make an account from the fields of SignUp and a role, and return its id. Raises TakenError."""
    try:
        user_id: int = queries.insert_user(conn, password_hash=hash_password(password), **fields)
    except psycopg.errors.UniqueViolation as error:
        raise TakenError("email" if error.diag.constraint_name == "users_email_key" else "username") from None
    return user_id


@blueprint.get("/me")
@blueprint.response(200, User)
@signed_in
def me() -> Response:
    """Show the signed-in user."""
    user = current_user()
    if user is None:
        not_found("user", "signed in")
    return answer(user_json(user, own=True))
