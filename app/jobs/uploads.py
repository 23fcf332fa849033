"""Read uploaded files of readings, part by part."""

import io
import itertools
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from psycopg.types.json import Jsonb
from rq.timeouts import JobTimeoutException

from app.bell import ring
from app.config import Config
from app.jobs.wake import wake_upload
from ingestor.intake import read_parts
from ingestor.known import Known
from ingestor.payload import Flaw, Readings, Reason
from ingestor.refusals import put_each
from ingestor.sdcard import Line, parse_sd_card
from ingestor.writer import Writer
from sql import DictConnection, Row, connect, is_refusal, queries

log = logging.getLogger(__name__)

LEASE_S = 90  # a worker that has not said anything for so long is taken for dead
MOST_ERRORS = 1000
_LINES = 1000  # a part
_BOM = "\ufeff"


class TakenError(Exception):
    """Another worker has gone on with the upload, or it is gone with its device."""


def watch() -> dict[str, int]:
    """Wake workers up for what a lost queue or a killed worker has left, and drop what is old."""
    with connect(Config.from_env().database_url) as conn:
        queries.delete_old_uploads(conn)
        due = queries.due_uploads(conn)
    for upload in due:
        wake_upload(upload["id"])
    return {"uploads": len(due)}


def run(upload_id: int) -> None:
    """Read one upload from where it stands, if it is due."""
    with connect(Config.from_env().database_url) as conn:
        upload = queries.claim_upload(conn, id=upload_id, lease_s=LEASE_S)
        if upload is None:
            return
        try:
            _read(conn, upload)
            state, errors = "finished", []
        except TakenError:
            log.info("upload left", extra={"upload_id": upload_id})
            return
        except Exception as error:
            if not _is_for_good(error):
                raise
            log.exception("upload failed", extra={"upload_id": upload_id})
            state = "failed"
            errors = [{"line": upload["lines_read"] + 1, "reason": str(Reason.UNREADABLE), "detail": _sentence(error)}]
        queries.finish_upload(conn, id=upload_id, state=state, errors=Jsonb(errors))
        log.info("upload read", extra={"upload_id": upload_id, "state": state})


def open_file(content: bytes) -> "io.TextIOWrapper[io.BytesIO]":
    """Return the text of a file; what is no UTF-8 stands as question marks, and so as errors of its lines."""
    return io.TextIOWrapper(io.BytesIO(content.removeprefix(_BOM.encode())), "utf-8", "replace", newline="")


def _read(conn: DictConnection, upload: Row) -> None:
    content = bytes(upload["content"])
    file = open_file(content)
    lines = (line for line in parse_sd_card(file) if line.number > upload["lines_read"])
    while part := list(itertools.islice(lines, _LINES)):
        percent = min(99, 100 * file.buffer.tell() // max(1, len(content)))
        where = (conn, upload, percent)
        put_each(part, partial(_write, *where), partial(_put_aside, *where), _is_for_good)
        ring()


def _is_for_good(error: Exception) -> bool:
    return not isinstance(error, (TakenError, JobTimeoutException)) and is_refusal(error)


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _write(conn: DictConnection, upload: Row, percent: int, part: Sequence[Line]) -> None:
    """Write a part and count it, in one transaction; a dry run writes it too, and takes it back. Raises TakenError."""
    with conn.transaction():
        # Known anew for each part: what it learns here goes where this transaction is taken back.
        known, parts = Known(), [line.readings for line in part]
        batch = read_parts(conn, upload["device_id"], "upload", parts, known, datetime.now(UTC))
        flaws, batch.quarantined = batch.quarantined, []  # the file is its owner's: they are told, line by line
        with conn.transaction(force_rollback=upload["dry_run"]):
            ledger = Writer(known, by_copy=False).write(conn, batch).ledger
        errors = [
            {"line": part[flaw.position].number, "reason": str(flaw.reason), "detail": flaw.detail}
            for flaw in flaws[: max(0, MOST_ERRORS - upload["rejected"])]
        ]
        moved = queries.move_upload(
            conn,
            id=upload["id"],
            after=upload["lines_read"],
            lease_s=LEASE_S,
            percent=percent,
            lines_read=part[-1].number,
            stored=ledger.stored,
            duplicate=ledger.duplicate,
            rejected=len(flaws),
            errors=Jsonb(errors),
        )
        if not moved:
            raise TakenError
    upload["lines_read"] = part[-1].number
    upload["rejected"] += len(flaws)


def _put_aside(conn: DictConnection, upload: Row, percent: int, line: Line, error: Exception) -> None:
    """Count a line as one of which nothing can be stored."""
    flaw = Flaw(b"", Reason.REFUSED_BY_DATABASE, _sentence(error))
    readings = Readings([], [flaw] * len(line.readings.datapoints) + line.readings.flaws)
    _write(conn, upload, percent, [Line(line.number, readings)])
