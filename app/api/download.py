"""Give out a file of the store, whole or a range of it."""

import mimetypes

from flask import Response, current_app, redirect, send_file

from app.config import Config
from app.errors import not_found, refuse
from app.exports.links import LinkError, check
from app.exports.storage import Storage

BINARY = {"type": "string", "format": "binary"}
_TYPES = {".gz": "application/gzip", ".parquet": "application/vnd.apache.parquet"}


def check_link(kind: str, thing_id: int, filename: str, signature: str) -> None:
    """Refuse with 403 unless the link was made for this file within the last day."""
    config: Config = current_app.extensions["config"]
    try:
        check(config.secret_key, kind, thing_id, filename, signature)
    except LinkError as error:
        refuse(403, f"{error}; ask for a new one")


def download(path: str, filename: str) -> Response:
    """Answer with a file: ourselves where it lies on this machine, else by sending the client to the store."""
    storage = Storage(current_app.extensions["config"].storage_url)
    local = storage.local_path(path)
    if local is None:
        return redirect(storage.signed_url(path), 302)  # type: ignore[return-value]
    ending = filename[filename.rindex(".") :]
    kind = _TYPES.get(ending) or mimetypes.types_map[ending]
    try:
        # RFC 9110's ranges, If-Range and 304 included; never Content-Encoding: what is stored is what arrives
        return send_file(local, mimetype=kind, as_attachment=True, download_name=filename, max_age=0)
    except FileNotFoundError:
        not_found("file", filename)
