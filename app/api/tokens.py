"""Private tokens: for a user's own programs, good for what they need."""

import secrets
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import PRIVATE_TOKEN_PREFIX, signed_in, signed_in_user
from app.database import connection
from app.errors import not_found
from app.schemas.base import Done
from app.schemas.paging import Paging
from app.schemas.tokens import MadeToken, NewToken, Token
from ingestor.tokens import hash_token
from sql import queries

blueprint = Blueprint("tokens", __name__, description="Private tokens")


@blueprint.get("/me/tokens")
@blueprint.arguments(Paging, location="query")
@blueprint.response(200, Token(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List your private tokens, newest first; never the tokens themselves."""
    page, user_id = Page.of(query), signed_in_user()["id"]
    with connection() as conn:
        tokens = queries.private_tokens_of_user(conn, user_id=user_id, **page.window)
        total = queries.count_private_tokens_of_user(conn, user_id=user_id)
    return answer_page(tokens, total, page)


@blueprint.post("/me/tokens")
@blueprint.arguments(NewToken)
@blueprint.response(201, MadeToken)
@blueprint.alt_response(422, description="a field is missing or malformed")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Make a private token; the answer is the only one that ever shows it."""
    token = PRIVATE_TOKEN_PREFIX + secrets.token_urlsafe(32)
    fields["scopes"] = sorted(set(fields["scopes"]))
    with connection() as conn:
        made = queries.insert_private_token(conn, user_id=signed_in_user()["id"], hash=hash_token(token), **fields)
    return answer({**made, "token": token}, 201)


@blueprint.delete("/me/tokens/<int:token_id>")
@blueprint.response(200, Done)
@blueprint.alt_response(404, description="you have no such token")
@signed_in
def revoke(token_id: int) -> Response:
    """Revoke a private token: it is refused from the next request on."""
    with connection() as conn:
        if not queries.revoke_private_token(conn, id=token_id, user_id=signed_in_user()["id"]):
            not_found("token", token_id)
    return answer({"message": "OK"})
