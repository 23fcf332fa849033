"""Gather the readings of many messages into columns, and what must be kept aside with its reason. Pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ingestor.payload import Flaw, Readings, Reason, encode_item
from ingestor.sensors import Sensors

# Kits without a clock send 1970, broken ones 2106: a chunk for each such day, and an aggregate's watermark moved past
# everything to come. No kit is older than 2000; a clock may be a day ahead, as on the platform whose wire this is.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=1)


class Quarantined(NamedTuple):
    """One row of the quarantine."""

    device_id: int | None
    token_hash: bytes | None
    topic: str
    payload: bytes
    reason: Reason
    detail: str


@dataclass(slots=True)
class Batch:
    """Columns of datapoints, one row a value, and everything else that the same messages brought."""

    device_ids: list[int] = field(default_factory=list)
    sensor_ids: list[int] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    raws: list[float] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    hardware_infos: dict[int, dict[str, Any]] = field(default_factory=dict)  # by device id: the last one counts
    inventory: list[dict[str, Any] | None] = field(default_factory=list)

    def add(self, device_id: int, topic: str, readings: Readings, sensors: Sensors, now: datetime) -> None:
        """Add what one message of a known device says; `topic` is masked, `now` is the clock's."""
        latest = now + LATEST_AHEAD
        for point in readings.datapoints:
            sensor_id = sensors.find(device_id, point.sensor)
            item = {"id": point.sensor, "value": point.raw}
            if type(sensor_id) is not int:
                flaw = Flaw(encode_item(point.time, item), Reason.UNKNOWN_SENSOR, str(sensor_id))
            elif not EARLIEST <= point.time <= latest:
                detail = f"{point.time:%Y-%m-%dT%H:%M:%SZ} is not between 2000-01-01 and a day from now"
                flaw = Flaw(encode_item(point.time, item), Reason.IMPOSSIBLE_TIME, detail)
            else:
                self.device_ids.append(device_id)
                self.sensor_ids.append(sensor_id)
                self.times.append(point.time)
                self.raws.append(point.raw)
                continue
            self.keep_aside(device_id, topic, flaw)
        for flaw in readings.flaws:
            self.keep_aside(device_id, topic, flaw)

    def keep_aside(self, device_id: int | None, topic: str, flaw: Flaw, token_hash: bytes | None = None) -> None:
        """Put one item, or a whole message, into quarantine."""
        # PostgreSQL's text has no NUL
        self.quarantined.append(
            Quarantined(device_id, token_hash, topic, flaw.item, flaw.reason, flaw.detail.replace("\0", ""))
        )
