"""Files of each day or month of a device or an experiment, which publish themselves."""

from typing import Any

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
from app.exports.files import edition_path, metadata_name
from app.exports.question import question_json
from app.jobs.wake import wake_archive
from app.policy import owns
from app.schemas.archives import Archive, Manifest, NewArchive
from app.schemas.paging import Paging
from app.wire.archives import archive_json, manifest_json
from sql import DictConnection, Row, queries

blueprint = Blueprint("archives", __name__, description="Files that publish themselves, in versions")

_MOST = 20  # a user


@blueprint.post("/archives")
@blueprint.arguments(NewArchive)
@blueprint.response(201, Archive, headers=location("the archive"))
@blueprint.alt_response(404, description="there is no such device or experiment for you")
@blueprint.alt_response(422, description="a field is missing or malformed")
@blueprint.alt_response(429, description="you have as many archives as a user may have")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Publish a file of each day or month of a device or an experiment, from the first reading on.

    A period is published within an hour of its end; one whose readings change later is published again, as the next
    version. All versions stay.
    """
    device_id, experiment_id = fields["device_id"], fields["experiment_id"]
    owner_id = signed_in_user()["id"]
    devices = {"q": None, "device_ids": [device_id], "experiment_id": experiment_id, "start": None, "end": None}
    with connection() as conn, conn.transaction():
        chosen_devices(conn, devices)
        queries.user_to_change(conn, id=owner_id)  # of two requests at once the second counts the first
        if queries.count_archives_of_user(conn, owner_id=owner_id) >= _MOST:
            refuse(429, f"you have {_MOST} archives, as many as a user may have: delete one")
        archive = queries.insert_archive(
            conn,
            owner_id=owner_id,
            device_id=device_id,
            experiment_id=experiment_id,
            period=fields["period"],
            question=Jsonb(question_json(fields)),
        )
    wake_archive(archive["id"])
    made = answer(_json(archive), 201)
    made.headers["Location"] = url_for(".show", archive_id=archive["id"])
    return made


@blueprint.get("/archives")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Archive(many=True), headers=PAGE_HEADERS)
@signed_in
def index(query: dict[str, Any]) -> Response:
    """List your archives, newest first."""
    page = Page.of(query)
    with connection() as conn:
        archives = queries.archives_of_user(conn, owner_id=signed_in_user()["id"], **page.window)
        total = queries.count_archives_of_user(conn, owner_id=signed_in_user()["id"])
    return answer_page([_json(archive) for archive in archives], total, page)


@blueprint.get("/archives/<int:archive_id>")
@blueprint.response(200, Archive)
@blueprint.alt_response(404, description="there is no such archive of yours")
@signed_in
def show(archive_id: int) -> Response:
    """Show an archive."""
    with connection() as conn:
        return answer(_json(_own(conn, archive_id)))


@blueprint.get("/archives/<int:archive_id>/manifest")
@blueprint.response(200, Manifest)
@blueprint.alt_response(404, description="there is no such archive of yours")
@signed_in
def manifest(archive_id: int) -> Response:
    """Show every version of every file that an archive has published, and why there is more than one."""
    config = current_app.extensions["config"]
    with connection() as conn:
        archive = _own(conn, archive_id)
        editions = queries.editions_of_archive(conn, archive_id=archive_id)
    return answer(manifest_json(archive, editions, config.public_url, config.secret_key))


@blueprint.delete("/archives/<int:archive_id>")
@blueprint.response(204)
@blueprint.alt_response(404, description="there is no such archive of yours")
@signed_in
def delete(archive_id: int) -> None:
    """Delete an archive with all of its files."""
    with connection() as conn:
        _own(conn, archive_id)
        queries.delete_archive(conn, id=archive_id)


@blueprint.get("/archives/<int:archive_id>/download/<signature>/<filename>")
@blueprint.response(200, BINARY, content_type="application/octet-stream")
@blueprint.alt_response(206, schema=BINARY, content_type="application/octet-stream", description="a range of it")
@blueprint.alt_response(302, description="the file lies elsewhere")
@blueprint.alt_response(403, description="the link has expired or is not complete")
@blueprint.alt_response(404, description="the file has been deleted")
@blueprint.alt_response(416, description="the range lies outside the file")
def fetch(archive_id: int, signature: str, filename: str) -> Response:
    """Fetch a file of an archive, or a range of it, by its signed link."""
    check_link("archives", archive_id, filename, signature)
    data = filename.removesuffix(metadata_name(""))
    with connection() as conn:
        if queries.edition_by_filename(conn, archive_id=archive_id, filename=data) is None:
            not_found("file", filename)
    return download(edition_path(archive_id, filename), filename)


def _own(conn: DictConnection, archive_id: int) -> Row:
    archive: Row | None = queries.archive_by_id(conn, id=archive_id)
    if archive is None or not owns(archive):
        not_found("archive", archive_id)
    return archive


def _json(archive: Row) -> Row:
    return archive_json(archive, current_app.extensions["config"].public_url)
