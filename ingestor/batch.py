"""Gather the readings of many messages into columns, and what must be kept aside with its reason. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from ingestor.columns import Columns
from ingestor.payload import Flaw, Readings, Reason, encode_item
from ingestor.plain import PlainReading
from ingestor.reports import ConfigReport, DeviceError
from ingestor.sensors import Sensors
from ingestor.times import to_us

# Broken clocks say 2106: an aggregate's watermark would move past everything to come. A day ahead is taken, as on the
# platform whose wire this is.
LATEST_AHEAD = timedelta(days=1)

_LONGEST_TOPIC = 500  # characters, of its end


class Quarantined(NamedTuple):
    """One row of the quarantine."""

    device_id: int | None
    token_hash: bytes | None
    topic: str
    payload: bytes
    reason: Reason
    detail: str
    position: int = 0  # of the reading in the message


class Asked(NamedTuple):
    """A message whose sender wants a receipt."""

    topic: str  # where it is to be sent
    receipt_id: str | int
    rows: slice  # of the batch's datapoints
    flaws: slice  # of what the batch keeps aside


@dataclass(slots=True)
class Batch:
    """Columns of readings, of their values, and everything else that the same messages brought."""

    earliest: datetime  # UTC: what is older is kept aside
    # one a reading, which has values of several sensors
    device_ids: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)  # microseconds since 1970-01-01 UTC
    sizes: list[int] = field(default_factory=list)  # how many of the values are its own
    # one a value
    sensor_ids: list[int] = field(default_factory=list)
    raws: list[float] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    hardware_infos: dict[int, dict[str, Any]] = field(default_factory=dict)  # by device id: the last one counts
    errors: list[tuple[int, DeviceError]] = field(default_factory=list)  # with the device's id
    config_reports: dict[tuple[int, int], ConfigReport] = field(default_factory=dict)  # by device id and version
    inventory: list[dict[str, Any] | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    used_tokens: list[bytes] = field(default_factory=list)  # hashes of those whose use is to be written down
    rejected: int = 0  # messages of strangers for which there was no room in quarantine

    def columns(self) -> Columns:
        """Return the datapoints in the order in which they came."""
        sizes = np.asarray(self.sizes, np.int64)
        device_ids = np.repeat(np.asarray(self.device_ids, np.int32), sizes)
        times = np.repeat(np.asarray(self.times, np.int64), sizes)
        return Columns.of_raw(device_ids, self.sensor_ids, times, self.raws)

    def add(
        self, device_id: int, topic: str, readings: Readings, sensors: Sensors, latest: datetime, position: int = 0
    ) -> None:
        """Add what one message of a known device says, or its reading at this position, up to the latest time.

        `topic` is masked.
        """
        for point in readings.datapoints:
            sensor_id = sensors.find(device_id, point.sensor)
            item = {"id": point.sensor, "value": point.raw}
            if type(sensor_id) is not int:
                flaw = Flaw(encode_item(point.time, item), Reason.UNKNOWN_SENSOR, str(sensor_id))
            elif not self.earliest <= point.time <= latest:
                detail = f"{point.time:%Y-%m-%dT%H:%M:%SZ} is not between {self.earliest:%Y-%m-%d} and a day from now"
                flaw = Flaw(encode_item(point.time, item), Reason.IMPOSSIBLE_TIME, detail)
            else:
                self._append(device_id, point.time, (sensor_id,), (point.raw,))
                continue
            self.keep_aside(device_id, topic, flaw, position=position)
        for flaw in readings.flaws:
            self.keep_aside(device_id, topic, flaw, position=position)

    def add_plain(self, device_id: int, readings: Sequence[PlainReading], sensors: Sensors, latest: datetime) -> bool:
        """Add a message in which nothing is out of order, or return False and add nothing: `add` says what is."""
        for time, sensor_ids, _ in readings:
            if not (self.earliest <= time <= latest and sensors.ids.issuperset(sensor_ids)):
                return False
        for time, sensor_ids, raws in readings:
            self._append(device_id, time, sensor_ids, raws)
        return True

    def _append(self, device_id: int, time: datetime, sensor_ids: Sequence[int], raws: Sequence[float]) -> None:
        self.device_ids.append(device_id)
        self.times.append(to_us(time))
        self.sizes.append(len(raws))
        self.sensor_ids.extend(sensor_ids)
        self.raws.extend(raws)

    def extend(self, other: "Batch") -> None:
        """Add the datapoints of another batch."""
        self.device_ids += other.device_ids
        self.times += other.times
        self.sizes += other.sizes
        self.sensor_ids += other.sensor_ids
        self.raws += other.raws

    def keep_aside(
        self, device_id: int | None, topic: str, flaw: Flaw, token_hash: bytes | None = None, position: int = 0
    ) -> None:
        """Put one item, or a whole message, into quarantine."""
        # PostgreSQL's text has no NUL, and an index no room for all that a bridge may put before a topic
        topic, detail = topic.replace("\0", "")[-_LONGEST_TOPIC:], flaw.detail.replace("\0", "")
        self.quarantined.append(Quarantined(device_id, token_hash, topic, flaw.item, flaw.reason, detail, position))
