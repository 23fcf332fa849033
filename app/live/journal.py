"""Read what has been written since a position: pages of the table `arrivals`, with the datapoints as they are now."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.live.position import Snapshot
from ingestor.columns import Integers, Times
from ingestor.keys import unpack
from ingestor.times import from_us, to_us
from sql import DictConnection, Row, queries

_MOST_ARRIVALS = 1000
_MOST_DATAPOINTS = 20_000  # a page has at least one transaction, whatever its size
_MOST_OF_PART = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """Datapoints of one device that one transaction has written: all of them, or a thousand."""

    device: Row  # as app.live may show it: id, owner_id, is_private, latitude, longitude
    arrived_at: datetime
    horizon_us: int  # what is before it was late
    sensor_ids: Integers
    times: Times
    found: list[Row | None]  # value, raw, key, measurement_id; None: it has been deleted since
    xid: int
    end: int  # how many of the transaction's datapoints have been seen with this part
    before: Snapshot  # what has been seen before this transaction


@dataclass(frozen=True, slots=True)
class Page:
    parts: list[Part]
    device_ids: list[int]  # of all that has been written, wanted or not
    seen: Snapshot  # by whoever has read the page
    is_last: bool


def read_page(
    conn: DictConnection, seen: Snapshot, device_ids: Collection[int] | None, wants: Callable[[Row], bool]
) -> Page:
    """Return the next page after a snapshot, of these devices (None: of all) that are wanted and not archived."""
    wanted_ids = None if device_ids is None else np.fromiter(device_ids, np.int32)
    arrivals = queries.arrivals_since(
        conn,
        seen=str(seen),
        device_ids=wanted_ids,
        most_arrivals=_MOST_ARRIVALS,
        most_datapoints=_MOST_DATAPOINTS,
    )
    now = Snapshot.parse(arrivals[0]["snapshot"])
    arrivals = [row for row in arrivals if row["xid"] is not None]
    if not arrivals:
        return Page([], [], now, is_last=True)
    for row in arrivals:
        row["keys"] = tuple(map(np.concatenate, zip(*map(unpack, row["keys"]), strict=True)))
    ids = np.unique(np.concatenate([row["keys"][0] for row in arrivals]))
    devices = {row["id"]: row for row in queries.live_devices(conn, ids=ids) if wants(row)}
    parts: list[Part] = []
    for row in arrivals:
        parts += _parts(row, devices, seen)
        seen = seen.through(row["xid"], now)
    _find(conn, parts)
    is_last = len(arrivals) < _MOST_ARRIVALS and sum(row["datapoints"] for row in arrivals) < _MOST_DATAPOINTS
    return Page(parts, ids.tolist(), now if is_last else seen, is_last)


def _parts(row: Row, devices: dict[int, Row], before: Snapshot) -> Iterator[Part]:
    ids, sensor_ids, times = row["keys"]
    starts = np.append(True, ids[1:] != ids[:-1]).nonzero()[0]
    for start, next_start in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True):
        device = devices.get(int(ids[start]))
        if device is None:
            continue
        for first in range(start, next_start, _MOST_OF_PART):
            end = min(first + _MOST_OF_PART, next_start)
            yield Part(
                device,
                row["arrived_at"],
                to_us(row["horizon"]),
                sensor_ids[first:end],
                times[first:end],
                [None] * (end - first),
                row["xid"],
                end,
                before,
            )


def _find(conn: DictConnection, parts: list[Part]) -> None:
    """Fill in what the database holds under the parts' keys."""
    if not parts:
        return
    times = np.concatenate([part.times for part in parts])
    rows = queries.datapoints_of_keys(
        conn,
        device_ids=np.repeat(
            np.array([part.device["id"] for part in parts], np.int32), [len(part.times) for part in parts]
        ),
        sensor_ids=np.concatenate([part.sensor_ids for part in parts]),
        times=times,
        first_time=from_us(int(times.min())),
        last_time=from_us(int(times.max())),
    )
    places = [(part.found, number) for part in parts for number in range(len(part.found))]
    for row in rows:
        found, number = places[row["place"] - 1]
        found[number] = row
