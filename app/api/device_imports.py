"""Register many devices at once, from a CSV file."""

import csv
import io
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from app.api.bodies import unpacked
from app.api.devices import permitted
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.device_changes import register_device
from app.device_tokens import new_token
from app.errors import refuse
from app.schemas.device_imports import ImportReport
from app.schemas.devices import NewDevice
from sql import DictConnection, Row

blueprint = Blueprint("device_imports", __name__, description="Many devices at once")

_MOST_ROWS = 1000
_COLUMNS = sorted(name for name in NewDevice().fields if name != "postprocessing_attributes")


@blueprint.post("/devices/import")
@blueprint.response(200, ImportReport)
@blueprint.alt_response(400, description="the file is no CSV in UTF-8, or its header has no column `name`")
@blueprint.alt_response(413, description="the file has too many rows")
@blueprint.doc(
    requestBody={
        "required": True,
        "description": f"a header with some of {', '.join(_COLUMNS)}; then a device a row, at most {_MOST_ROWS:,}",
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "name,exposure,kit_id\nBalcony,outdoor,26\n"}
        },
    }
)
@signed_in
def import_devices() -> Response:
    """Register the devices of a CSV file; each row is registered or refused by itself, and the answer says which.

    An empty cell leaves its field out. The answer is the only one that ever shows the devices' tokens.
    """
    user = signed_in_user()
    rows = _read(_text())
    # All rows or, where the database goes or somebody was in the way, none: tokens of which no answer tells are lost.
    with connection() as conn, conn.transaction():
        report = [{"row": number, **_register(conn, user["id"], row)} for number, row in enumerate(rows, 2)]
    registered = sum(row["id"] is not None for row in report)
    return answer({"registered": registered, "refused": len(report) - registered, "rows": report})


def _text() -> str:
    # Of what calls itself another form, as whatever curl sends does, a look into `files` would leave no body.
    upload = next(iter(request.files.values()), None) if request.mimetype == "multipart/form-data" else None
    data = unpacked(upload.read() if upload else request.get_data())
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(400, f"the file is not in UTF-8: byte {error.start} is {data[error.start]:#04x}")
    if "\0" in text:
        refuse(400, "the file holds a NUL character")
    return text


def _read(text: str) -> list[dict[str, str]]:
    header = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    try:
        columns = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = columns
        if "name" not in columns:
            refuse(400, f"the first line of the CSV has no column `name`; it may have {', '.join(_COLUMNS)}")
        if unknown := [column for column in columns if column not in _COLUMNS]:
            refuse(400, f"the header has {', '.join(unknown)[:200]}; it may have {', '.join(_COLUMNS)}")
        rows = list(reader)
    except csv.Error as error:
        refuse(400, f"line {reader.line_num} is no CSV: {error}")
    if len(rows) > _MOST_ROWS:
        refuse(413, f"the file has {len(rows):,} rows: send at most {_MOST_ROWS:,} at once")
    return rows


def _register(conn: DictConnection, owner_id: int, row: dict[Any, Any]) -> Row:
    """Register one row's device, or leave nothing of it behind."""
    cells = {column: cell.strip() for column, cell in row.items() if isinstance(cell, str) and cell.strip()}
    if None in row:
        return _refused({"row": ["has more cells than the header"]})
    try:
        fields = permitted(NewDevice().load(cells))
        token = fields.pop("device_token", None) or new_token()
        with conn.transaction():
            device_id = register_device(conn, token, owner_id=owner_id, **fields)
    except ValidationError as error:
        return _refused(error.messages_dict)
    except HTTPException as error:
        data = getattr(error, "data", {})
        return _refused(data.get("errors") or {"row": [data.get("message") or str(error)]})
    return {"id": device_id, "device_token": token, "errors": {}}


def _refused(errors: dict[str, Any]) -> Row:
    return {"id": None, "device_token": None, "errors": errors}
