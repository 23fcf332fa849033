"""Read again what is in quarantine, now that its cause may be gone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ingestor.batch import Batch
from ingestor.intake import read_parts
from ingestor.known import EARLIEST, Known
from ingestor.loose_json import parse_json
from ingestor.payload import Datapoint, Readings, Reason, parse_each, parse_raw, parse_reading
from ingestor.refusals import put_each
from ingestor.topics import Kind
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
    known, said, kept = Known(), dict[int, Batch](), dict[int, Kept]()
    writer = Writer(known, by_copy=False)

    def store(ids: Sequence[int]) -> Ledger:
        batch = Batch(EARLIEST)
        for id_ in ids:
            batch.extend(said[id_])
        with conn.transaction():
            return writer.write(conn, batch).ledger

    def keep(id_: int, error: Exception) -> Ledger:
        kept[id_] = Kept(id_, str(Reason.REFUSED_BY_DATABASE), f"{type(error).__name__}: {error}")
        return Ledger()

    with conn.transaction():
        queries.keep_devices(conn, device_ids=[row.device_id for row in rows])
        there = {row["id"] for row in queries.hold_quarantine(conn, ids=[row.id for row in rows])}
        for row in rows:
            if row.id not in there:
                continue
            try:
                parts = [_shifted(part, shift) for part in _read(row)]
            except OverflowError:
                detail = "shifted, its time is in no year from 1 to 9999"
                kept[row.id] = Kept(row.id, str(Reason.IMPOSSIBLE_TIME), detail)
                continue
            batch = read_parts(conn, row.device_id, row.topic, parts, known, now)
            if batch.quarantined:
                kept[row.id] = Kept(row.id, str(batch.quarantined[0].reason), batch.quarantined[0].detail)
            elif not batch.raws:
                kept[row.id] = Kept(row.id, str(Reason.UNREADABLE), "there is no value in it")
            else:
                said[row.id] = batch
        ledgers = put_each(list(said), store, keep)
        queries.delete_quarantine(conn, ids=list(said.keys() - kept.keys()))
    return sum(ledgers, Ledger()), list(kept.values())


def _read(row: Row) -> list[Readings]:
    """A whole message as its topic has it, or a single item, which is kept in the shape of a reading."""
    item = parse_json(row.payload)
    if isinstance(item, dict) and "sensors" in item:
        return [parse_reading(item)]
    if row.topic.endswith(Kind.RAW):
        return [parse_raw(row.payload)]
    return parse_each(row.payload)[0]


def _shifted(part: Readings, shift: timedelta) -> Readings:
    return Readings([Datapoint(point.sensor, point.time + shift, point.raw) for point in part.datapoints], part.flaws)
