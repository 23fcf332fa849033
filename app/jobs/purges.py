"""Delete devices for good, with their readings."""

import logging
from datetime import timedelta

from app.config import Config
from sql import DictConnection, connect, queries

log = logging.getLogger(__name__)

TRASH_DAYS = 30  # as long as an account stays in the trash
_SLICE = timedelta(days=28)  # a transaction: four chunks of datapoints


def purge_archived() -> dict[str, int]:
    """Delete what has been in the trash for long enough, go on with what was interrupted, and forget what is over."""
    with connect(Config.from_env().database_url) as conn:
        queries.insert_purges_due(conn, days=TRASH_DAYS)
        unfinished = queries.unfinished_purges(conn)
        for row in unfinished:
            purge(conn, row["device_id"])
        queries.delete_old_purges(conn)
        queries.delete_old_transfers(conn)
    return {"devices": len(unfinished)}


def purge_expired() -> None:
    """Delete what is older than its owner's datapoints are kept, month by month."""
    with connect(Config.from_env().database_url) as conn:
        for row in queries.expired_days(conn):
            start, datapoints = row["first_day"], 0
            while start < row["end_day"]:
                end = min(start + _SLICE, row["end_day"])
                datapoints += queries.forget_datapoints(conn, device_id=row["device_id"], first_day=start, end_day=end)
                start = end
            log.info("datapoints expired", extra={"device_id": row["device_id"], "datapoints": datapoints})


def purge_device(device_id: int) -> None:
    """Delete one device whose deletion has been asked for."""
    with connect(Config.from_env().database_url) as conn:
        purge(conn, device_id)


def purge(conn: DictConnection, device_id: int) -> None:
    """Delete a device month by month, then itself. After an interruption it goes on with what is left."""
    row = queries.purge_of_device(conn, device_id=device_id)
    if row is None or row["finished_at"] is not None:
        return
    queries.start_purge(conn, device_id=device_id)
    days = queries.days_of_datapoints(conn, device_id=device_id)
    start, last = days["first_day"], days["last_day"]
    first = start
    while start is not None and start <= last:
        end = start + _SLICE
        done = min(1.0, (end - first) / (last + timedelta(days=1) - first))
        # 99 at most: the last one is the device's own row
        queries.delete_datapoints(conn, device_id=device_id, first_day=start, end_day=end, percent=int(99 * done))
        start = end
    with conn.transaction():
        queries.delete_device(conn, id=device_id)
        queries.finish_purge(conn, device_id=device_id)
    log.info("device purged", extra={"device_id": device_id})
