"""Kits: blueprints that say what a device is made of."""

import re
import secrets
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import psycopg
from flask import Response
from flask_smorest import Blueprint
from psycopg.types.json import Jsonb

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.references import id_in
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.calibrations import begin_redos
from app.database import connection
from app.device_configs import settings_errors
from app.errors import invalid, not_found
from app.kits import set_components
from app.policy import require_owner
from app.schemas.calibrations import EARLIEST
from app.schemas.kits import Kit, KitChanges, NewKit
from app.schemas.paging import Paging
from app.wire.catalogue import kit_json
from sql import DictConnection, Row, queries
from sql.selecting import select_ids

blueprint = Blueprint("kits", __name__, description="Kits: blueprints of devices")

_NO_CONFIG: Row = {"publish_interval": None, "settings": {}, "settings_schema": None}


@blueprint.get("/kits")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Kit(many=True), headers=PAGE_HEADERS)
def index(query: dict[str, Any]) -> Response:
    """List the kits."""
    page = Page.of(query)
    with connection() as conn:
        ids, total = select_ids(conn, "kits_listed", {}, **page.window)
        return answer_page(_json(conn, queries.kits_by_ids(conn, ids=ids)), total, page)


@blueprint.get("/kits/<kit>")
@blueprint.response(200, Kit)
@blueprint.alt_response(404, description="there is no such kit")
def show(kit: str) -> Response:
    """Show a kit with its components and their sensors."""
    with connection() as conn:
        return answer(_json(conn, [find_kit(conn, kit)])[0])


@blueprint.post("/kits")
@blueprint.arguments(NewKit)
@blueprint.response(201, Kit)
@blueprint.alt_response(422, description="a field is missing, malformed, unknown or taken; nothing was made")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Make a kit, of sensors that exist or come with it.

    All or nothing: a sensor or measurement that comes with a kit is made together with it.
    """
    user = signed_in_user()
    with connection() as conn, conn.transaction():
        kit_id = _insert(conn, {key: fields.get(key) for key in ("slug", "name", "description")}, user["id"])
        set_components(conn, kit_id, fields["components"], user["id"], valid_from=EARLIEST)
        _set_config(conn, kit_id, {**_NO_CONFIG, **fields})
        made = _json(conn, queries.kits_by_ids(conn, ids=[kit_id]))[0]
    return answer(made, 201)


@blueprint.route("/kits/<kit>", methods=["PATCH", "PUT"])
@blueprint.arguments(KitChanges)
@blueprint.response(200, Kit)
@blueprint.alt_response(403, description="the kit is not yours")
@blueprint.alt_response(404, description="there is no such kit")
@blueprint.alt_response(422, description="a field is malformed, unknown or taken; nothing was changed")
@signed_in
def change(fields: dict[str, Any], kit: str) -> Response:
    """Change a kit.

    `components` replaces all of them. Devices that exist keep the components they have, with their keys, and do what
    they were told.
    """
    with connection() as conn, conn.transaction():
        found = queries.kit_to_change(conn, id=find_kit(conn, kit)["id"])
        require_owner(found, "kit")
        try:
            with conn.transaction():
                about = {key: fields.get(key) for key in ("slug", "name", "description")}
                queries.update_kit(conn, id=found["id"], **about)
        except psycopg.errors.UniqueViolation:
            invalid(422, slug=f"{fields['slug']} is another kit's")
        if not _NO_CONFIG.keys().isdisjoint(fields):
            _set_config(conn, found["id"], {**found, **fields})
        redos = 0
        if "components" in fields:
            redos = set_components(conn, found["id"], fields["components"], signed_in_user()["id"])
        changed = _json(conn, queries.kits_by_ids(conn, ids=[found["id"]]))[0]
    if redos:
        begin_redos()
    return answer(changed)


def find_kit(conn: DictConnection, reference: str) -> Row:
    """Return the kit of an id, a uuid or a slug; answer 404 where there is none."""
    try:
        uuid = UUID(reference)
    except ValueError:
        uuid = None
    kit: Row | None = queries.kit_by_reference(conn, id=id_in(reference), uuid=uuid, slug=reference)
    if kit is None:
        not_found("kit", reference)
    return kit


def _insert(conn: DictConnection, about: Row, owner_id: int) -> int:
    given = about["slug"]
    slug = given or re.sub(r"[^a-z0-9]+", "-", about["name"].lower()).strip("-")[:80]
    if not given and (not slug or slug.isdecimal()):
        slug = f"kit-{slug}".strip("-")
    kit_id: int | None = queries.insert_kit(conn, **{**about, "slug": slug}, owner_id=owner_id)
    if kit_id is None and given:
        invalid(422, slug=f"{slug} is another kit's")
    if kit_id is None:
        slug = f"{slug}-{secrets.token_hex(4)}"
        kit_id = queries.insert_kit(conn, **{**about, "slug": slug}, owner_id=owner_id)
    assert kit_id is not None  # noqa: S101 - nobody else has drawn these 32 bits
    return kit_id


def _set_config(conn: DictConnection, kit_id: int, kit: Row) -> None:
    schema = kit["settings_schema"]
    if schema is not None and (errors := dict(settings_errors(schema, kit["settings"]))):
        invalid(422, **errors)
    queries.set_kit_config(
        conn,
        id=kit_id,
        publish_interval=kit["publish_interval"],
        settings=Jsonb(kit["settings"]),
        settings_schema=None if schema is None else Jsonb(schema),
    )


def _json(conn: DictConnection, kits: list[Row]) -> list[Row]:
    """Return kits with their components and sensors: two queries, whatever their number."""
    components = queries.components_of_kits(conn, kit_ids=[kit["id"] for kit in kits])
    sensors = _by_id(queries.sensors_by_ids(conn, ids=sorted({row["sensor_id"] for row in components})))
    of_kit: dict[int, list[Row]] = {kit["id"]: [] for kit in kits}
    for component in components:
        of_kit[component["kit_id"]].append(component)
    return [kit_json(kit, of_kit[kit["id"]], sensors) for kit in kits]


def _by_id(rows: Iterable[Row]) -> dict[int, Row]:
    return {row["id"]: row for row in rows}
