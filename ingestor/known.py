"""What the ingestor knows from earlier batches: whose a token is, which sensors and components there are."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ingestor.sensors import Sensors
from ingestor.strangers import Strangers
from ingestor.tokens import hash_token
from ingestor.versions import Versions
from sql import DictConnection, queries

# Kits without a clock send 1970: a chunk for each such day. No kit is older than 2000.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_MOST = 200_000  # of each kind, some 30 MB: beyond that it starts anew
_USE_NOTED_FOR = timedelta(minutes=5)


class Known:
    """Answers from memory while the database's ingest_version stays; of absence it remembers nothing."""

    def __init__(self) -> None:
        self.sensors = Sensors()
        self.versions = Versions()
        self.components: set[tuple[int, int]] = set()  # (device id, sensor id)
        self._devices: dict[str, tuple[int, datetime | None]] = {}  # by token, with the end of its validity
        self._named: dict[str, int] = {}
        self._version: int | None = None
        self._kept_for: timedelta | None = None  # None: for ever
        self.has_sites = False  # other ones, to which what is written goes too
        self._noted: dict[str, datetime] = {}  # by token, when its use was last written down
        self.strangers = Strangers()

    def remember(self, token: str, device_id: int) -> None:
        """Know a device by a name that is no token of it in the database."""
        self._named[token] = device_id

    def refresh(self, conn: DictConnection) -> None:
        """Forget what may have changed; call it with every batch."""
        row = queries.ingest_version(conn)
        version, self._kept_for, self.has_sites = row["version"], row["datapoints_kept_for"], row["has_sites"]
        if version != self._version or max(len(self._devices), len(self.components), len(self.sensors.keys)) > _MOST:
            self._devices.clear()
            self.components.clear()
            self.sensors = Sensors()
            self.versions = Versions()
            self._version = version

    def earliest(self, now: datetime) -> datetime:
        """Return the time before which no datapoint is taken."""
        return EARLIEST if self._kept_for is None else max(EARLIEST, now - self._kept_for)

    def devices_of(self, conn: DictConnection, tokens: set[str], now: datetime) -> dict[str, int]:
        """Return the device of each token that is valid now."""
        by_hash = {
            hash_token(token): token for token in tokens if token not in self._devices and token not in self._named
        }
        if by_hash:
            for row in queries.device_ids_of_tokens(conn, hashes=list(by_hash)):
                self._devices[by_hash[bytes(row["hash"])]] = (row["device_id"], row["expires_at"])
        found = ((token, self._devices.get(token)) for token in tokens)
        valid = {token: entry[0] for token, entry in found if entry and (entry[1] is None or entry[1] > now)}
        return {**valid, **{token: self._named[token] for token in tokens & self._named.keys()}}

    def uses_to_note(self, tokens: Iterable[str], now: datetime) -> list[bytes]:
        """Return the hashes of those tokens whose last use is to be written down: not again for five minutes."""
        if len(self._noted) > _MOST:
            self._noted.clear()
        due = [token for token in tokens if token not in self._noted or now - self._noted[token] >= _USE_NOTED_FOR]
        self._noted.update(dict.fromkeys(due, now))
        return [hash_token(token) for token in due]

    def make_components(self, conn: DictConnection, pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Make the components that the database lacks, and return those that were not known; call it in a transaction.

        Add them to `components` once that has committed.
        """
        unknown = {pair for pair in pairs if pair not in self.components}
        if unknown:
            device_ids, sensor_ids = map(list, zip(*unknown, strict=True))
            queries.insert_missing_components(conn, device_ids=device_ids, sensor_ids=sensor_ids)
        return unknown
