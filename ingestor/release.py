"""Read again what is in quarantine, now that its cause may be gone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ingestor.batch import Batch
from ingestor.intake import read_parts
from ingestor.known import Known
from ingestor.payload import Datapoint, Kind, Readings, Reason, parse_each, parse_json, parse_reading, parse_readings
from ingestor.writer import Ledger, Writer
from sql import DictConnection, queries


class Row(NamedTuple):
    """One row of the quarantine, of a device."""

    id: int
    device_id: int
    topic: str
    payload: bytes


class Kept(NamedTuple):
    """A row that still cannot be stored."""

    id: int
    reason: str
    detail: str


def release(conn: DictConnection, rows: Sequence[Row], shift: timedelta, now: datetime) -> tuple[Ledger, list[Kept]]:
    """Store what the rows hold, `shift` later than they say, and drop them; return what became of it, and what remains.

    A row is stored as a whole or stays as it is. In one transaction.
    """
    known = Known()
    known.refresh(conn)
    batch = Batch(known.earliest(now))
    kept: list[Kept] = []
    with conn.transaction():
        queries.keep_devices(conn, device_ids=[row.device_id for row in rows])
        there = {row["id"] for row in queries.hold_quarantine(conn, ids=[row.id for row in rows])}
        released: list[int] = []
        for row in rows:
            if row.id not in there:
                continue
            try:
                parts = [_shifted(part, shift) for part in _read(row)]
            except OverflowError:
                kept.append(Kept(row.id, str(Reason.IMPOSSIBLE_TIME), "shifted, its time is in no year from 1 to 9999"))
                continue
            said = read_parts(conn, row.device_id, row.topic, parts, known, now)
            if said.quarantined:
                kept.append(Kept(row.id, str(said.quarantined[0].reason), said.quarantined[0].detail))
            elif not said.raws:
                kept.append(Kept(row.id, "unreadable", "there is no value in it"))
            else:
                batch.extend(said)
                released.append(row.id)
        ledger = Writer(known, by_copy=False).write(conn, batch).ledger
        queries.delete_quarantine(conn, ids=released)
    return ledger, kept


def _read(row: Row) -> list[Readings]:
    """A whole message as its topic has it, or a single item, which is kept in the shape of a reading."""
    item = parse_json(row.payload)
    if isinstance(item, dict) and "sensors" in item:
        return [parse_reading(item)]
    if row.topic.endswith(Kind.RAW):
        return [parse_readings(Kind.RAW, row.payload)]
    return parse_each(row.payload)[0]


def _shifted(part: Readings, shift: timedelta) -> Readings:
    return Readings([Datapoint(point.sensor, point.time + shift, point.raw) for point in part.datapoints], part.flaws)
