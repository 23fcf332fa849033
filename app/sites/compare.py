"""Bring two sites to the same rows and datapoints: everything for a new one, only what differs for the others."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np

from app.sites.tables import REPLICATED
from ingestor.times import from_us
from sql import DictConnection, Row, queries

T = TypeVar("T")

_ROWS = 1_000  # a transaction
_DATAPOINTS = 30_000
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


class Differences(NamedTuple):
    """What was not the same at two sites, and was sent again."""

    rows: int = 0
    hours: int = 0  # of a device


def copy_all(source: DictConnection, target: DictConnection) -> None:
    """Give a new site all that another one has, while both go on."""
    for name in REPLICATED:
        _merge_rows(target, name, queries.rows_of(source, table_name=name))
    for device_id in queries.device_ids(source):
        _send(source, target, int(device_id), _BEGINNING, _END)


def heal(here: DictConnection, there: DictConnection) -> Differences:
    """Compare two sites and send what differs both ways: each keeps the later write, as always.

    What one of them keeps no longer is left alone: sent again, it would come back to life.
    """
    before = queries.next_hlc(here)
    rows = 0
    for name in REPLICATED:
        keys = _differing_rows(here, there, name)
        rows += len(keys)
        for some in _parts(keys, _ROWS):
            ours, theirs = (queries.rows_by_keys(conn, table_name=name, keys=some) for conn in (here, there))
            _merge_rows(there, name, ours)
            _merge_rows(here, name, theirs)
    hours = 0
    for device_id in sorted({*map(int, queries.device_ids(here)), *map(int, queries.device_ids(there))}):
        kept_from = max(queries.kept_from(conn, device_id=device_id) for conn in (here, there))
        for hour in _differing_hours(here, there, device_id, kept_from, before):
            hours += 1
            start, end = max(hour, kept_from), hour + timedelta(hours=1)
            _send(here, there, device_id, start, end)
            _send(there, here, device_id, start, end)
    return Differences(rows, hours)


def _differing_rows(here: DictConnection, there: DictConnection, name: str) -> list[str]:
    ours, theirs = (
        {(row["key"], row["hash"]) for row in queries.hashes_of_rows(conn, table_name=name)} for conn in (here, there)
    )
    return sorted({key for key, _ in ours ^ theirs})


def _differing_hours(
    here: DictConnection, there: DictConnection, device_id: int, start: datetime, before: int
) -> list[datetime]:
    ours, theirs = (
        {
            (row["hour"], row["hash"])
            for row in queries.hashes_of_hours(conn, device_id=device_id, start=start, before=before)
        }
        for conn in (here, there)
    )
    return sorted({hour for hour, _ in ours ^ theirs})


def _merge_rows(target: DictConnection, name: str, rows: Iterable[Row]) -> None:
    for some in _parts(rows, _ROWS):
        with target.transaction():
            queries.merge_as_replica(target)
            queries.merge_rows(
                target,
                table_name=name,
                hlcs=[row["hlc"] for row in some],
                keys=[row["key"] for row in some],
                contents=[row["content"] for row in some],
            )


def _send(source: DictConnection, target: DictConnection, device_id: int, start: datetime, before: datetime) -> None:
    """Let a site have another's datapoints of a device between two times."""
    sensor_id, time = 0, _BEGINNING
    while True:
        found = queries.datapoints_to_send(
            source,
            device_id=device_id,
            start=start,
            before=before,
            sensor_id=sensor_id,
            time=time,
            most=_DATAPOINTS,
        )
        if found["times"] is None:
            return
        with target.transaction():
            queries.merge_as_replica(target)
            queries.merge_datapoints(target, **found, device_ids=np.full(len(found["times"]), device_id, np.int32))
        sensor_id, time = int(found["sensor_ids"][-1]), from_us(int(found["times"][-1]))


def _parts(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
