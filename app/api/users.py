"""List and show users."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.accounts import find_user
from app.api.filtering import INTEGER, TEXT, TIME, UUID_, Filterable, FiltersField
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.database import connection
from app.policy import viewer
from app.schemas.accounts import User
from app.schemas.paging import Paging
from app.user_records import show_users
from sql import queries
from sql.selecting import select_ids

blueprint = Blueprint("users", __name__, description="Users and their devices")

_USERS = Filterable(
    {
        "id": INTEGER,
        "uuid": UUID_,
        "username": TEXT,
        "city": TEXT,
        "country_code": TEXT,
        "created_at": TIME,
        "updated_at": TIME,
        "devices_id": INTEGER,
        "devices_name": TEXT,
        "sensors_id": INTEGER,
    },
    {"role": TEXT, "role_mask": INTEGER, "devices_forwarding_destination_name": TEXT},
    frozenset({"devices_id", "devices_name", "devices_forwarding_destination_name", "sensors_id"}),
)


class UsersQuery(Paging):
    q = FiltersField(_USERS)


@blueprint.get("/users")
@blueprint.arguments(UsersQuery, location="query", error_status_code=400)
@blueprint.response(200, User(many=True), headers=PAGE_HEADERS)
@blueprint.alt_response(400, description="a parameter is malformed, or filters by what is not known")
def index(query: dict[str, Any]) -> Response:
    """List users, each with the devices that the asking user may see."""
    page, filters = Page.of(query), query["q"]
    with connection() as conn:
        ids, total = select_ids(conn, "users_listed", viewer(), filters.condition, filters.order, **page.window)
        users = show_users(conn, queries.users_by_ids(conn, ids=ids))
    return answer_page(users, total, page)


@blueprint.get("/users/<id_or_username>")
@blueprint.response(200, User)
@blueprint.alt_response(404, description="there is no such user")
def show(id_or_username: str) -> Response:
    """Show a user by id or username, with the devices that the asking user may see."""
    with connection() as conn:
        (user,) = show_users(conn, [find_user(conn, id_or_username)])
    return answer(user)
