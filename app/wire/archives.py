"""Archives as JSON."""

from collections.abc import Sequence

from app.exports.files import metadata_name
from app.exports.links import link
from sql import Row


def archive_json(archive: Row, public_url: str) -> Row:
    """Return an Archive."""
    names = ("id", "device_id", "experiment_id", "period", "published_until", "editions", "error", "created_at")
    manifest_url = f"{public_url}/v0/archives/{archive['id']}/manifest"
    return {**{name: archive[name] for name in names}, "query": archive["question"], "manifest_url": manifest_url}


def manifest_json(archive: Row, editions: Sequence[Row], public_url: str, secret_key: str) -> Row:
    """Return a Manifest; the editions come by period, the newest version first."""
    files, before = [], None
    for edition in editions:
        names = ("version", "reason", "filename", "rows", "bytes", "sha256", "published_at")
        links = {
            name: link(public_url, secret_key, "archives", archive["id"], filename)
            for name, filename in (
                ("download_url", edition["filename"]),
                ("metadata_url", metadata_name(edition["filename"])),
            )
        }
        files.append(
            {
                "from": edition["range_start"],
                "to": edition["range_end"],
                "newest": edition["range_start"] != before,
                "calibration_ids": edition["calibration_ids"].tolist(),
                **{name: edition[name] for name in names},
                **links,
            }
        )
        before = edition["range_start"]
    return {**archive_json(archive, public_url), "files": files}
