"""Components: the sensors that devices have."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.database import connection
from app.errors import not_found
from app.policy import require_readable, viewer
from app.schemas.catalogue import Component
from app.schemas.paging import Paging
from sql import Row, queries
from sql.selecting import select_ids

blueprint = Blueprint("components", __name__, description="Components: the sensors that devices have")

_KEYS = ("id", "uuid", "device_id", "sensor_id", "key", "interval", "last_reading_at", "created_at", "updated_at")


@blueprint.get("/components")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Component(many=True), headers=PAGE_HEADERS)
def index(query: dict[str, Any]) -> Response:
    """List the components of the devices that you may see."""
    page = Page.of(query)
    with connection() as conn:
        ids, total = select_ids(conn, "components_listed", viewer(), **page.window)
        return answer_page([_json(row) for row in queries.components_by_ids(conn, ids=ids)], total, page)


@blueprint.get("/components/<int:component_id>")
@blueprint.response(200, Component)
@blueprint.alt_response(403, description="its device is private, and not yours")
@blueprint.alt_response(404, description="there is no such component")
def show(component_id: int) -> Response:
    """Show a component."""
    with connection() as conn:
        rows = queries.components_by_ids(conn, ids=[component_id])
    if not rows:
        not_found("component", component_id)
    component = rows[0]
    require_readable({**component, "id": component["device_id"]})
    return answer(_json(component))


def _json(component: Row) -> Row:
    return {key: component[key] for key in _KEYS}
