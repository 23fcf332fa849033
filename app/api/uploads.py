"""Upload the CSV files that kits write to their SD cards, and see what became of them."""

from typing import Any

from flask import Response, request, url_for
from flask_smorest import Blueprint

from app.api.bodies import MOST_BYTES, unpacked
from app.api.devices import existing
from app.api.respond import answer, location
from app.auth import signed_in
from app.database import connection
from app.errors import invalid, not_found
from app.jobs.uploads import MOST_ERRORS, open_file
from app.jobs.wake import wake_upload
from app.policy import require_owner
from app.schemas.uploads import Upload, UploadQuery
from ingestor.sdcard import parse_sd_card
from sql import Row, queries

blueprint = Blueprint("uploads", __name__, description="Uploading files from SD cards")

_BODY = {
    "required": True,
    "content": {
        "text/csv": {
            "schema": {"type": "string"},
            "example": "TIME,TEMP\nISO 8601,ºC\nTime,Temperature\n,55\n2026-01-15T08:30:00Z,21.40\n",
        },
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        },
    },
}


@blueprint.post("/devices/<int:device_id>/uploads")
@blueprint.arguments(UploadQuery, location="query", error_status_code=400)
@blueprint.doc(requestBody=_BODY)
@blueprint.response(202, Upload, headers=location("the upload"))
@blueprint.alt_response(400, description="the body cannot be read")
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(413, description=f"more than {MOST_BYTES:,} bytes, unpacked too")
@blueprint.alt_response(422, description="the file's header names no sensors")
@signed_in
def upload(query: dict[str, Any], device_id: int) -> Response:
    """Upload a CSV file as a kit writes it, as the body or as the field `file` of a form.

    It is read in the background: ask for it again to see how far it is and which lines have errors.
    """
    with connection() as conn:
        require_owner(existing(conn, device_id))
    # Of what calls itself another form, as whatever curl sends does, a look into `files` would leave no body.
    file = request.files.get("file") if request.mimetype == "multipart/form-data" else None
    content = unpacked(file.read() if file else request.get_data())
    filename = query["filename"] or (file.filename if file else None)
    try:
        parse_sd_card(open_file(content))
    except ValueError as error:
        invalid(422, file=str(error))
    with connection() as conn:
        upload_id = queries.insert_upload(
            conn,
            device_id=device_id,
            filename=filename and filename.replace("\0", "")[:255],
            content=content,
            size=len(content),
            dry_run=query["dry_run"],
        )
        row = queries.upload(conn, id=upload_id)
    wake_upload(upload_id)
    shown = answer(_shown(row), 202)
    shown.headers["Location"] = url_for(".show", upload_id=upload_id)
    return shown


@blueprint.get("/devices/<int:device_id>/uploads")
@blueprint.response(200, Upload(many=True))
@blueprint.alt_response(403, description="the device is not yours")
@signed_in
def index(device_id: int) -> Response:
    """List the latest uploads of a device, the newest first."""
    with connection() as conn:
        require_owner(existing(conn, device_id))
        return answer([_shown(row) for row in queries.uploads_of_device(conn, device_id=device_id)])


@blueprint.get("/uploads/<int:upload_id>")
@blueprint.response(200, Upload)
@blueprint.alt_response(403, description="the device is not yours")
@signed_in
def show(upload_id: int) -> Response:
    """Show how far an upload is, what has been stored, and which lines have errors."""
    with connection() as conn:
        row = queries.upload(conn, id=upload_id)
    if row is None:
        not_found("upload", upload_id)
    require_owner(row, "upload")
    return answer(_shown(row))


def _shown(row: Row) -> Row:
    shown = {name: value for name, value in row.items() if name != "owner_id"}
    return {**shown, "errors": shown["errors"][:MOST_ERRORS]}
