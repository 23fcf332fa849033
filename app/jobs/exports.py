"""Make exports, mail them, purge them.

The table says what is to be done; Redis only wakes a worker up. `watch` wakes one up each minute for whatever is due:
what a lost queue, a killed worker or a mail server that was away has left.
"""

import io
import logging
import math
import tempfile
import time
from collections.abc import Callable
from typing import Any

import orjson
import psycopg

from app.config import Config
from app.exports.files import METADATA, filename_of, path_of
from app.exports.links import link
from app.exports.make import NothingError, make
from app.exports.metadata import title
from app.exports.storage import Storage
from app.jobs.wake import wake_export
from app.mail import send_later
from app.mail.errors import MailError, RefusedMailError
from app.mail.message import write
from app.mail.smtp import send
from sql import DictConnection, Pool, Row, connect, open_pool, queries

log = logging.getLogger(__name__)

LEASE_S = 90  # a worker that has not said anything for so long is taken for dead
_STORE_LEASE_S = 3600  # nothing is said while a file goes to a store elsewhere
RETRY_AFTER_S = [10, 60, 300, 1800]
MAIL_RETRY_AFTER_S = [60, 120, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600]
KEPT_S = 7 * 24 * 3600
_LARGEST_ATTACHMENT = 5 * 1024 * 1024  # mail servers take 10 MB or more, and base64 adds a third
_SAY_EVERY_S = 1.0


class GoneError(Exception):
    """The export was cancelled, deleted, or given to another worker."""


class CannotError(Exception):
    """The export cannot be made, now or later; the message is for its owner."""


def watch() -> dict[str, int]:
    """Wake workers up for what is due."""
    with connect(Config.from_env().database_url) as conn:
        exports, mails = queries.due_exports(conn), queries.due_export_mails(conn)
    for export in exports:
        wake_export("run", export["id"], export["attempt"])
    for export in mails:
        wake_export("mail", export["id"], export["mail_attempt"])
    return {"exports": len(exports), "mails": len(mails)}


def run(export_id: int) -> None:
    """Make one export, if it is due and its owner has no other running; then wake up what is due next."""
    config = Config.from_env()
    with open_pool(config.database_url, max_size=2, timeout=30) as pool:
        with pool.connection() as conn:
            try:
                export: Row | None = queries.claim_export(conn, id=export_id, lease_s=LEASE_S)
            except psycopg.errors.UniqueViolation:
                return  # whoever runs the other one wakes this one up
        if export is not None:
            _make_claimed(config, pool, export)
    watch()


def _make_claimed(config: Config, pool: Pool, export: Row) -> None:
    this = {"id": export["id"], "attempt": export["attempt"]}
    started = time.monotonic()
    tries_left = len(RETRY_AFTER_S) + 1 - export["attempt"]
    try:
        if tries_left < 0:
            raise CannotError("it was begun again and again, and each time its worker was killed: ask for less at once")
        _make(config, pool, export)
    except GoneError:
        log.info("export stopped", extra=this)
    except Exception as error:
        for_good = isinstance(error, CannotError) or tries_left <= 0
        log.exception("export failed", extra={**this, "for_good": for_good})
        with pool.connection() as conn:
            if not for_good:
                wait_s = RETRY_AFTER_S[export["attempt"] - 1]
                queries.retry_export(conn, **this, error=_reason(error), wait_s=wait_s)
            elif queries.fail_export(conn, **this, error=_reason(error)):
                owner = queries.user_by_id(conn, id=export["owner_id"])
                values = {"export_id": export["id"], "reason": _reason(error)}
                send_later("export_failed", owner["email"], **values)
    else:
        log.info("export finished", extra={**this, "seconds": round(time.monotonic() - started, 1)})


def _reason(error: Exception) -> str:
    """Return what the owner may read: our own words, or that the fault is ours."""
    if isinstance(error, CannotError):
        return str(error)
    return f"an error of ours ({type(error).__name__}); it has been logged"


def _make(config: Config, pool: Pool, export: Row) -> None:
    with pool.connection() as conn:
        devices = _devices(conn, export)
    filename = filename_of(export, devices)
    say = _saying(pool, export)
    storage = Storage(config.storage_url)
    # Without a name in the file system, so that a killed worker leaves nothing behind.
    with tempfile.TemporaryFile() as file:
        try:
            made = make(config, pool, export["question"], devices, filename, file, say)
        except NothingError as error:
            raise CannotError(str(error)) from None
        say(1.0, lease_s=_STORE_LEASE_S)
        storage.put(path_of(export, filename), file)
    storage.put(path_of(export, METADATA), io.BytesIO(orjson.dumps(made.metadata, option=orjson.OPT_INDENT_2)))
    with pool.connection() as conn:
        finished = queries.finish_export(
            conn,
            id=export["id"],
            attempt=export["attempt"],
            filename=filename,
            rows=made.rows,
            bytes=made.bytes,
            sha256=made.sha256,
            kept_s=KEPT_S,
        )
    if not finished:
        raise GoneError  # the purge job finds the file


def _devices(conn: DictConnection, export: Row) -> list[Row]:
    """Return the devices of an export, whose owner must still be allowed to read all of them."""
    owner = queries.user_by_id(conn, id=export["owner_id"])
    if owner is None:
        raise CannotError("your account is closed")
    found: list[Row] = queries.exportable_devices(
        conn, ids=export["device_ids"], viewer_id=owner["id"], viewer_is_admin=owner["role"] == "admin"
    )
    if gone := sorted(set(export["device_ids"].tolist()) - {device["id"] for device in found}):
        raise CannotError(f"these devices have become private or were archived: {', '.join(map(str, gone))}")
    return found


def _saying(pool: Pool, export: Row) -> Callable[..., None]:
    """Return what tells the table how far the export is, at most once a second. Raises GoneError."""
    said_at = 0.0

    def say(share: float, lease_s: int = LEASE_S) -> None:
        nonlocal said_at
        if share < 1 and time.monotonic() - said_at < _SAY_EVERY_S:
            return
        said_at = time.monotonic()
        with pool.connection() as conn:
            percent = min(99, int(100 * share))
            ours = queries.keep_export(
                conn, id=export["id"], attempt=export["attempt"], percent=percent, lease_s=lease_s
            )
        if not ours:
            raise GoneError

    return say


def mail(export_id: int) -> None:
    """Send the mail of a finished export, once.

    To claim it is to set the time of the next try, so a worker that dies here costs that time. Only a death in the
    moment between the mail server's answer and our note mails twice, and then under one Message-ID.
    """
    config = Config.from_env()
    with connect(config.database_url) as conn:
        export: Row | None = queries.claim_export_mail(conn, id=export_id, waits_s=MAIL_RETRY_AFTER_S)
        if export is None:
            return
        try:
            send(config.mail_url, _message(config, conn, export))
        except MailError as error:
            log.warning("export not mailed", extra={"id": export_id, "error": str(error)})
            give_up = isinstance(error, RefusedMailError) or export["mail_attempt"] >= len(MAIL_RETRY_AFTER_S)
            end = "; fetch it from download_url" if give_up else "; it is tried again"
            queries.set_export_not_mailed(
                conn, id=export_id, error=f"the mail was not sent: {error}{end}", give_up=give_up
            )
        else:
            queries.set_export_mailed(conn, id=export_id)


def _size(size: int) -> str:
    return f"{math.ceil(size / 1e3)} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


def _message(config: Config, conn: DictConnection, export: Row) -> Any:
    storage = Storage(config.storage_url)
    devices = queries.exportable_devices(
        conn, ids=export["device_ids"], viewer_id=export["owner_id"], viewer_is_admin=True
    )
    attached = export["bytes"] <= _LARGEST_ATTACHMENT
    values = {
        "title": title(devices),
        "rows": f"{export['rows']:,}",
        "size": _size(export["bytes"]),
        "attached": attached,
        "download_url": link(config.public_url, config.secret_key, "exports", export["id"], export["filename"]),
    }
    message = write(config, "export_finished", export["email"], values, f"export-{export['id']}")
    if attached:
        for name in (export["filename"], METADATA):
            kind = ("application", "json" if name == METADATA else "octet-stream")
            message.add_attachment(storage.read(path_of(export, name)), *kind, filename=name)
    return message


def purge() -> dict[str, int]:
    """Drop exports whose time is over, and the files whose export or archive is gone."""
    config = Config.from_env()
    storage = Storage(config.storage_url)
    with connect(config.database_url) as conn:
        gone = len(queries.delete_expired_exports(conn))
        files = _purge_files(storage, "exports", lambda ids: queries.export_ids(conn, ids=ids))
        files += _purge_files(storage, "archives", lambda ids: queries.archive_ids(conn, ids=ids))
    return {"exports": gone, "files": files}


def _purge_files(storage: Storage, folder: str, known: Callable[[list[int]], list[Row]]) -> int:
    """Delete what lies in folders of things that are not known any more, and return how many files that were."""
    owners = {path: int(path.split("/")[1]) for path in storage.list(folder)}
    kept = {row["id"] for row in known(sorted(set(owners.values())))}
    orphans = [path for path, owner in owners.items() if owner not in kept]
    for path in orphans:
        storage.delete(path)
    return len(orphans)
