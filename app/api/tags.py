"""Tags: of devices, by which people group them, and of sensors."""

from typing import Any

import psycopg
from flask import Response
from flask_smorest import Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.references import id_in
from app.api.respond import answer
from app.database import connection
from app.errors import invalid, not_found
from app.policy import admins_only
from app.schemas.base import Done
from app.schemas.catalogue import NewTag, Tag, TagChanges, TagSensor
from app.schemas.paging import Paging
from sql import DictConnection, Row, queries
from sql.selecting import select_ids

blueprint = Blueprint("tags", __name__, description="Tags of devices and of sensors")

_TAKEN = "is another tag's"


@blueprint.get("/tags")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Tag(many=True), headers=PAGE_HEADERS)
def index(query: dict[str, Any]) -> Response:
    """List the tags that devices may have."""
    page = Page.of(query)
    with connection() as conn:
        ids, total = select_ids(conn, "tags_listed", {}, **page.window)
        return answer_page(queries.tags_by_ids(conn, ids=ids), total, page)


@blueprint.get("/tags/<tag>")
@blueprint.response(200, Tag)
@blueprint.alt_response(404, description="there is no such tag")
def show(tag: str) -> Response:
    """Show a tag of devices."""
    with connection() as conn:
        return answer(_find(conn, tag))


@blueprint.post("/tags")
@blueprint.arguments(NewTag)
@blueprint.response(201, Tag)
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
@admins_only
def create(fields: dict[str, Any]) -> Response:
    """Add a tag that devices may have."""
    with connection() as conn:
        try:
            tag_id = queries.insert_tag(conn, name=fields["name"], description=fields.get("description"))
        except psycopg.errors.UniqueViolation:
            invalid(422, name=_TAKEN)
        return answer(queries.tags_by_ids(conn, ids=[tag_id])[0], 201)


@blueprint.route("/tags/<tag>", methods=["PATCH", "PUT"])
@blueprint.arguments(TagChanges)
@blueprint.response(200, Tag)
@blueprint.alt_response(404, description="there is no such tag")
@blueprint.alt_response(422, description="a field is malformed or taken")
@admins_only
def change(fields: dict[str, Any], tag: str) -> Response:
    """Change what is sent of a tag of devices."""
    with connection() as conn, conn.transaction():
        queries.hold_tag(conn, id=_find(conn, tag)["id"])
        found = _find(conn, tag)
        try:
            queries.update_tag(
                conn, id=found["id"], **{"name": found["name"], "description": found["description"], **fields}
            )
        except psycopg.errors.UniqueViolation:
            invalid(422, name=_TAKEN)
        return answer(queries.tags_by_ids(conn, ids=[found["id"]])[0])


@blueprint.delete("/tags/<tag>")
@blueprint.response(200, Done)
@blueprint.alt_response(404, description="there is no such tag")
@admins_only
def delete(tag: str) -> Response:
    """Delete a tag; the devices that had it lose it."""
    with connection() as conn:
        queries.delete_tag(conn, id=_find(conn, tag)["id"])
    return answer({"message": "OK"})


@blueprint.get("/tag_sensors")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, TagSensor(many=True), headers=PAGE_HEADERS)
def index_of_sensors(query: dict[str, Any]) -> Response:
    """List the tags that sensors may have."""
    page = Page.of(query)
    with connection() as conn:
        ids, total = select_ids(conn, "tag_sensors_listed", {}, **page.window)
        return answer_page(queries.tag_sensors_by_ids(conn, ids=ids), total, page)


@blueprint.get("/tag_sensors/<int:tag_sensor_id>")
@blueprint.response(200, TagSensor)
@blueprint.alt_response(404, description="there is no such tag")
def show_of_sensors(tag_sensor_id: int) -> Response:
    """Show a tag of sensors."""
    with connection() as conn:
        rows = queries.tag_sensors_by_ids(conn, ids=[tag_sensor_id])
    if not rows:
        not_found("tag of sensors", tag_sensor_id)
    return answer(rows[0])


@blueprint.post("/tag_sensors")
@blueprint.arguments(NewTag)
@blueprint.response(201, TagSensor)
@blueprint.alt_response(422, description="a field is missing, malformed or taken")
@admins_only
def create_of_sensors(fields: dict[str, Any]) -> Response:
    """Add a tag that sensors may have."""
    with connection() as conn:
        try:
            tag_id = queries.insert_tag_sensor(conn, name=fields["name"], description=fields.get("description"))
        except psycopg.errors.UniqueViolation:
            invalid(422, name=_TAKEN)
        return answer(queries.tag_sensors_by_ids(conn, ids=[tag_id])[0], 201)


def _find(conn: DictConnection, reference: str) -> Row:
    """Return the tag of an id or a name; answer 404 where there is none."""
    tag: Row | None = queries.tag_by_reference(conn, id=id_in(reference), name=reference)
    if tag is None:
        not_found("tag", reference)
    return tag
