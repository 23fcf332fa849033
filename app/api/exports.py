"""Take data away: ask for an export, see how far it is, fetch it."""

from typing import Any, NoReturn

from flask import Response, current_app, url_for
from flask_smorest import Blueprint
from psycopg.types.json import Jsonb

from app.api.chosen_devices import chosen_devices
from app.api.download import BINARY, check_link, download
from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer, location
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.errors import not_found, refuse
from app.exports.files import METADATA, path_of
from app.exports.question import question_json, range_json
from app.jobs.wake import wake_export
from app.policy import owns
from app.schemas.exports import CsvArchive, Export, NewExport
from app.schemas.paging import Paging
from app.wire.exports import export_json
from sql import DictConnection, Row, queries

blueprint = Blueprint("exports", __name__, description="Data to take away")

_MOST_UNFINISHED = 10
_CSV_ARCHIVE_EVERY_S = 15 * 60


@blueprint.post("/exports")
@blueprint.arguments(NewExport)
@blueprint.response(202, Export, headers=location("the export"))
@blueprint.alt_response(404, description="there is no such device, or it is private and not yours")
@blueprint.alt_response(422, description="a field is missing or malformed")
@blueprint.alt_response(429, description="too many of your exports wait; Retry-After says how long to wait")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Queue an export. One of yours runs at a time; you get a mail when it is finished.

    Readings come sorted by device and time. Whoever may read a device may export it.
    """
    with connection() as conn, conn.transaction():
        export = _queue(conn, fields)
    wake_export("run", export["id"], export["attempt"])
    accepted = answer(_json(export), 202)
    accepted.headers["Location"] = url_for(".show", export_id=export["id"])
    return accepted


@blueprint.get("/devices/<int:device_id>/readings/csv_archive")
@blueprint.response(200, CsvArchive)
@blueprint.alt_response(404, description="there is no such device, or it is private and not yours")
@blueprint.alt_response(429, description="asked for within the last 15 minutes; Retry-After says how long to wait")
@signed_in
def csv_archive(device_id: int) -> Response:
    """Get everything a device has measured by mail, as CSV: an export with its defaults."""
    with connection() as conn, conn.transaction():
        queries.user_to_change(conn, id=signed_in_user()["id"])  # who asks twice at once gets one mail
        ago_s = queries.last_csv_archive(conn, owner_id=signed_in_user()["id"], device_id=device_id)
        if ago_s is not None and ago_s < _CSV_ARCHIVE_EVERY_S:
            _too_many(int(_CSV_ARCHIVE_EVERY_S - ago_s) + 1, "you asked for this archive less than 15 minutes ago")
        export = _queue(conn, NewExport().load({"device_ids": [device_id]}), csv_archive=True)
    wake_export("run", export["id"], export["attempt"])
    return answer(
        {
            "id": "ok",
            "message": "CSV Archive job added to queue",
            "url": url_for(".show", export_id=export["id"], _external=True),
            "errors": "",
        }
    )


@blueprint.get("/exports")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Export(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List your exports, newest first."""
    page = Page.of(query)
    with connection() as conn:
        exports = queries.exports_of_user(conn, owner_id=signed_in_user()["id"], **page.window)
        total = queries.count_exports_of_user(conn, owner_id=signed_in_user()["id"])
    return answer_page([_json(export) for export in exports], total, page)


@blueprint.get("/exports/<int:export_id>")
@blueprint.response(200, Export)
@blueprint.alt_response(404, description="there is no such export of yours")
@signed_in
def show(export_id: int) -> Response:
    """Show how far an export is, and where its file can be fetched."""
    with connection() as conn:
        return answer(_json(_own(conn, export_id)))


@blueprint.post("/exports/<int:export_id>/cancel")
@blueprint.response(200, Export)
@blueprint.alt_response(404, description="there is no such export of yours")
@signed_in
def cancel(export_id: int) -> Response:
    """Stop an export that waits or runs; one that has ended stays as it is."""
    with connection() as conn:
        _own(conn, export_id)
        queries.cancel_export(conn, id=export_id)
        return answer(_json(_own(conn, export_id)))


@blueprint.delete("/exports/<int:export_id>")
@blueprint.response(204)
@blueprint.alt_response(404, description="there is no such export of yours")
@signed_in
def delete(export_id: int) -> None:
    """Delete an export with its file; one that runs is stopped."""
    with connection() as conn:
        _own(conn, export_id)
        queries.delete_export(conn, id=export_id)


@blueprint.get("/exports/<int:export_id>/download/<signature>/<filename>")
@blueprint.response(200, BINARY, content_type="application/octet-stream")
@blueprint.alt_response(206, schema=BINARY, content_type="application/octet-stream", description="a range of it")
@blueprint.alt_response(302, description="the file lies elsewhere")
@blueprint.alt_response(403, description="the link has expired or is not complete")
@blueprint.alt_response(404, description="the file has been deleted")
@blueprint.alt_response(416, description="the range lies outside the file")
def fetch(export_id: int, signature: str, filename: str) -> Response:
    """Fetch the file of an export, or a range of it, by its signed link."""
    check_link("exports", export_id, filename, signature)
    with connection() as conn:
        export: Row | None = queries.export_by_id(conn, id=export_id)
    if export is None or filename not in (export["filename"], METADATA):
        not_found("file", filename)
    return download(path_of(export, filename), filename)


def _queue(conn: DictConnection, fields: dict[str, Any], *, csv_archive: bool = False) -> Row:
    device_ids = chosen_devices(conn, fields)
    # So that of two requests at once the second counts the first.
    queries.user_to_change(conn, id=signed_in_user()["id"])
    if queries.count_unfinished_exports(conn, owner_id=signed_in_user()["id"]) >= _MOST_UNFINISHED:
        _too_many(60, f"{_MOST_UNFINISHED} of your exports wait or run: let one finish, or cancel one")
    question = range_json(fields) | question_json(fields) | ({"csv_archive": True} if csv_archive else {})
    export: Row = queries.insert_export(
        conn, owner_id=signed_in_user()["id"], device_ids=device_ids, question=Jsonb(question)
    )
    return export


def _own(conn: DictConnection, export_id: int) -> Row:
    export: Row | None = queries.export_by_id(conn, id=export_id)
    if export is None or not owns(export):
        not_found("export", export_id)
    return export


def _json(export: Row) -> Row:
    config = current_app.extensions["config"]
    return export_json(export, config.public_url, config.secret_key)


def _too_many(seconds: int, message: str) -> NoReturn:
    refuse(429, message, headers={"Retry-After": str(seconds)})
