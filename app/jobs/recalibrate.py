"""Compute values anew from raw: slice after slice, while readings come in and people look.

A slice is one transaction: it reads raws, computes, writes values, marks the rollups of their days, moves the device's
versions and notes how far the redo has come. So every answer is right at every moment, and a worker that dies loses
its slice and nothing else: whoever takes the redo next goes on where the last one was committed.
"""

import logging
import time

import psycopg

from app.config import Config
from app.recalibration import TakenError, do_slice
from ingestor.versions import Versions
from sql import AWAY, DictConnection, Row, connect, queries

log = logging.getLogger(__name__)

LEASE_S = 10.0  # much longer than a slice; a dead worker's redo waits so long
_STINT_S = 50.0  # then other jobs have their turn, until the next minute
_TRIES = 5  # of a slice that a deadlock undid


def work() -> None:
    """Work on what redos there are that nobody works on, the oldest first, for a minute at most.

    It comes back every minute, and goes on with what is left; whoever asks for a redo enqueues it once more.
    """
    deadline = time.monotonic() + _STINT_S
    with connect(Config.from_env().database_url) as conn:
        while time.monotonic() < deadline and (redo := _take(conn)) is not None:
            _work_on(conn, redo, deadline)


def _take(conn: DictConnection) -> Row | None:
    with conn.transaction():
        queries.hold_writers(conn)
        redo: Row | None = queries.take_recalibration(conn, lease_s=LEASE_S)
        queries.note_recalibrating(conn)
    return redo


def _work_on(conn: DictConnection, redo: Row, deadline: float) -> None:
    versions = Versions()
    try:
        while (advanced := _try_slice(conn, redo, versions)) is not None:
            redo = advanced
            if time.monotonic() > deadline:
                queries.release_recalibration(conn, id=redo["id"])
                return
        queries.end_recalibration(conn, id=redo["id"], state="done", error=None)
    except TakenError:
        log.info("recalibration left", extra={"recalibration": redo["id"]})
    except AWAY:
        raise  # the lease runs out, and a worker goes on
    except Exception as error:
        log.exception("recalibration failed", extra={"recalibration": redo["id"]})
        queries.end_recalibration(conn, id=redo["id"], state="failed", error=f"{type(error).__name__}: {error}")
    else:
        log.info("recalibrated", extra={"recalibration": redo["id"], "device_id": redo["device_id"]})


def _try_slice(conn: DictConnection, redo: Row, versions: Versions) -> Row | None:
    """Do a slice, again where something else that changes the same rows was in its way."""
    for _ in range(_TRIES - 1):
        try:
            return do_slice(conn, redo, LEASE_S, versions)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            continue
    return do_slice(conn, redo, LEASE_S, versions)
