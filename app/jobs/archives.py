"""Publish archives: each period once it has ended, and again under a higher version when what it holds has changed."""

import io
import logging
import tempfile
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from app.config import Config
from app.exports.files import edition_filename, edition_path, metadata_name
from app.exports.make import NothingError, make
from app.exports.periods import Period, name_of, periods, periods_of_days
from app.exports.read import extent_of
from app.exports.storage import Storage
from app.jobs.wake import wake_archive
from ingestor.times import from_us, to_us
from sql import DictConnection, Pool, Row, connect, open_pool, queries

log = logging.getLogger(__name__)

_LEASE_S = 3600  # for one period
_EVERY_S = 3600
_COMMIT_WITHIN = timedelta(minutes=10)  # a change is dated when it is written, and seen when it is committed


def watch() -> dict[str, int]:
    """Wake workers up for the archives that are due."""
    with connect(Config.from_env().database_url) as conn:
        queries.delete_seen_changes(conn)
        due = queries.due_archives(conn)
    for archive in due:
        wake_archive(archive["id"])
    return {"archives": len(due)}


def publish(archive_id: int) -> None:
    """Publish what an archive lacks. A worker that dies leaves the rest to the next run, an hour later at most."""
    config = Config.from_env()
    with open_pool(config.database_url, max_size=2, timeout=30) as pool:
        with pool.connection() as conn:
            archive: Row | None = queries.claim_archive(conn, id=archive_id, lease_s=_LEASE_S)
        if archive is None:
            return
        end: dict[str, Any] = {"id": archive_id, "wait_s": _EVERY_S, "changes_seen_until": None, "error": None}
        try:
            _publish(config, pool, archive)
            end["changes_seen_until"] = archive["claimed_at"] - _COMMIT_WITHIN
        except NothingError as error:
            end["error"] = str(error)
        except Exception as error:
            log.exception("archive not published", extra={"archive_id": archive_id})
            end["error"] = f"an error of ours ({type(error).__name__}); it has been logged, and is tried again"
        with pool.connection() as conn:
            queries.end_archive_run(conn, **end)


def _publish(config: Config, pool: Pool, archive: Row) -> None:
    with pool.connection() as conn:
        devices = _devices(conn, archive)
        horizon_us = to_us(queries.rollup_horizon(conn))
        ids = [device["id"] for device in devices]
        days = [row["day"] for row in queries.changed_days(conn, device_ids=ids, since=archive["changes_seen_until"])]
    zone, kind = ZoneInfo(archive["question"]["tz"]), archive["period"]
    until_us = to_us(archive["published_until"]) if archive["published_until"] else _first_us(pool, devices)
    if until_us is None:
        return  # no device has measured anything yet
    changed = {period for period in periods_of_days(kind, zone, days) if period.end_us <= until_us}
    since_then = periods(kind, zone, until_us, horizon_us) if until_us < horizon_us else []
    ended = {period for period in since_then if period.end_us <= horizon_us}
    for period in sorted(changed | ended):
        _publish_period(config, pool, archive, devices, period)
        done = from_us(period.end_us) if period in ended else None
        with pool.connection() as conn:
            if not queries.keep_archive(conn, id=archive["id"], published_until=done, lease_s=_LEASE_S):
                return


def _publish_period(config: Config, pool: Pool, archive: Row, devices: list[Row], period: Period) -> None:
    """Publish a period, unless it is empty or what was published last."""
    start, end = from_us(period.start_us), from_us(period.end_us)
    with pool.connection() as conn:
        last: Row | None = queries.newest_edition(conn, archive_id=archive["id"], range_start=start)
    version = last["version"] + 1 if last else 1
    name = name_of(period, archive["period"], ZoneInfo(archive["question"]["tz"]))
    filename = edition_filename(archive, name, version)
    storage = Storage(config.storage_url)
    with tempfile.TemporaryFile() as file:
        asked = {**archive["question"], "from": start.isoformat(), "to": from_us(period.end_us - 1).isoformat()}
        made = make(config, pool, asked, devices, filename, file, lambda share: None)
        is_news = made.sha256 != last["sha256"] if last else made.rows > 0
        if not is_news:
            return
        storage.put(edition_path(archive["id"], filename), file)
    reason = "first"
    if last is not None:
        reason = "changed" if made.calibration_ids == last["calibration_ids"].tolist() else "recalibrated"
    about = {"version": version, "reason": reason, "replaces_sha256": last["sha256"] if last else None, **made.metadata}
    sidecar = io.BytesIO(orjson.dumps(about, option=orjson.OPT_INDENT_2))
    storage.put(edition_path(archive["id"], metadata_name(filename)), sidecar)
    with pool.connection() as conn:
        published = queries.insert_edition(
            conn,
            archive_id=archive["id"],
            range_start=start,
            range_end=end,
            version=version,
            reason=reason,
            filename=filename,
            rows=made.rows,
            bytes=made.bytes,
            sha256=made.sha256,
            calibration_ids=made.calibration_ids,
        )
    if published:  # else the archive was deleted meanwhile, and the purge job finds its files
        log.info("archive published", extra={"archive_id": archive["id"], "edition": filename, "reason": reason})


def _devices(conn: DictConnection, archive: Row) -> list[Row]:
    """Return the devices of an archive that its owner may read."""
    owner = queries.user_by_id(conn, id=archive["owner_id"])
    if owner is None:
        raise NothingError("the account of its owner is closed")
    viewer = {"viewer_id": owner["id"], "viewer_is_admin": owner["role"] == "admin"}
    ids = [archive["device_id"]]
    if archive["experiment_id"] is not None:
        experiments = queries.experiments_by_ids(conn, ids=[archive["experiment_id"]], **viewer)
        ids = list(experiments[0]["device_ids"]) if experiments else []  # it may have been deleted meanwhile
    devices: list[Row] = queries.exportable_devices(conn, ids=ids, **viewer)
    if not devices:
        raise NothingError("there is no device left that you may read")
    return devices


def _first_us(pool: Pool, devices: list[Row]) -> int | None:
    with pool.connection() as conn:
        rows = queries.exportable_components(conn, device_ids=[device["id"] for device in devices])
    sensor_ids: dict[int, list[int]] = {}
    for row in rows:
        sensor_ids.setdefault(row["device_id"], []).append(row["sensor_id"])
    extents = [extent_of(pool, device_id, ids, None, None) for device_id, ids in sensor_ids.items()]
    return min((extent.start_us for extent in extents if extent is not None), default=None)
