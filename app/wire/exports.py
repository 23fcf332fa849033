"""Exports as JSON."""

from app.exports.files import METADATA
from app.exports.links import link
from sql import Row


def export_json(export: Row, public_url: str, secret_key: str) -> Row:
    """Return an Export; the links in it are made anew."""
    links = dict.fromkeys(("download_url", "metadata_url"))
    if export["state"] == "finished":
        links = {
            name: link(public_url, secret_key, "exports", export["id"], file)
            for name, file in (("download_url", export["filename"]), ("metadata_url", METADATA))
        }
    return {
        "id": export["id"],
        "state": export["state"],
        "percent": export["percent"],
        "device_ids": export["device_ids"].tolist(),
        "query": export["question"],
        "rows": export["rows"],
        "bytes": export["bytes"],
        "sha256": export["sha256"],
        "filename": export["filename"],
        **links,
        "error": export["error"],
        "mailed_at": export["mailed_at"],
        "created_at": export["created_at"],
        "finished_at": export["finished_at"],
        "expires_at": export["expires_at"],
    }
