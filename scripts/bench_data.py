"""A large, made-up history for the benchmarks: kits of 20 components that send once a minute.

Five kit-years are 52.6 million datapoints; loading, refreshing and converting them takes some ten minutes on two cores.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg

from app.seed import seed
from ingestor.columns import Columns
from ingestor.writer import COPY
from sql import DictConnection, connect, queries
from sql.migrate import migrate

END = datetime(2026, 11, 1, tzinfo=UTC)
YEARS = {1: 3, 2: 1, 3: 1}  # of each kit's history, up to END
SENSORS = (10, 14, 53, 55, 56, 58, 193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 205, 206)
MINUTE_US = 60_000_000
_WEEK = timedelta(days=7)
_INSERT = (
    "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) "
    "SELECT %s, %s, time, value, value FROM unnest(%s::timestamptz[], %s::float8[]) AS r (time, value)"
)


def values(device_id: int, sensor_id: int, start_us: int, count: int) -> np.ndarray:
    """Return a component's readings, one a minute: a day's wave with noise, as noisy and as rounded as a sensor's."""
    minutes = start_us // MINUTE_US + np.arange(count)
    noise = np.random.default_rng([device_id, sensor_id, start_us // MINUTE_US]).normal(0, 0.4, count)
    return np.round(20 + sensor_id % 7 + 8 * np.sin(minutes * (2 * np.pi / 1440)) + noise, 2)


def weeks(years: int) -> Iterator[tuple[int, int]]:
    """Yield the start of each week (microseconds) of so many years before END, and its number of minutes."""
    start = END - timedelta(days=365 * years)
    while start < END:
        end = min(start + _WEEK, END)
        yield int(start.timestamp()) * 1_000_000, (end - start) // timedelta(minutes=1)
        start = end


def load(database_url: str, years: dict[int, int] = YEARS) -> int:
    """Make the kits and their datapoints where they are not there yet, and return how many datapoints there are."""
    migrate(database_url)
    with connect(database_url) as conn:
        seed(conn)
        if conn.execute("SELECT FROM users WHERE username = 'bench'").fetchone() is None:
            _load(conn, years)
        return sum(years.values()) * 365 * 1440 * len(SENSORS)


def _load(conn: DictConnection, years: dict[int, int]) -> None:
    begun = time.monotonic()
    for device_id, of_device in sorted(years.items()):
        for start_us, count in weeks(of_device):
            try:
                _copy(conn, device_id, start_us, count)
            except psycopg.errors.FeatureNotSupported:  # the embedded database
                _insert(conn, device_id, start_us, count)
        print(f"loaded kit {device_id}, {of_device} years: {time.monotonic() - begun:.0f} s", flush=True)
    owner_id = queries.insert_user(
        conn, username="bench", email="bench@example.org", password_hash="-", role="citizen", city=None,
        country_code=None, url=None,
    )  # fmt: skip
    conn.execute(
        "INSERT INTO devices (id, owner_id, name, first_reading_at, last_reading_at) "
        "SELECT id, %s, 'Kit ' || id, %s - 365 * years * INTERVAL '1 day', %s "
        "FROM unnest(%s::integer[], %s::integer[]) AS d (id, years)",
        [owner_id, END, END - timedelta(minutes=1), list(years), list(years.values())],
    )
    conn.execute(
        "INSERT INTO components (device_id, sensor_id, key, latest_time, latest_raw, latest_value) "
        "SELECT d, s, 's' || s, %s, 20, 20 FROM unnest(%s::integer[]) AS d, unnest(%s::integer[]) AS s",
        [END - timedelta(minutes=1), list(years), list(SENSORS)],
    )
    for device_id, of_device in years.items():
        conn.execute(
            "INSERT INTO rollup_dirty (device_id, day) "
            "SELECT %s, day FROM generate_series(%s::date, %s::date, '1 day') AS day",
            [device_id, END - timedelta(days=365 * of_device), END - timedelta(days=1)],
        )
    while conn.execute("SELECT FROM rollup_dirty LIMIT 1").fetchone() is not None:
        conn.execute("CALL refresh_rollups()")
    print(f"refreshed: {time.monotonic() - begun:.0f} s", flush=True)
    conn.execute("CALL convert_rollups_to_columnstore()")
    chunks = conn.execute(
        "SELECT format('%I.%I', chunk_schema, chunk_name) AS name FROM timescaledb_information.chunks "
        "WHERE NOT is_compressed AND range_end < now() - interval '7 days' ORDER BY range_end"
    ).fetchall()
    for chunk in chunks:
        conn.execute("CALL convert_to_columnstore(%s::regclass)", [chunk["name"]])
    conn.execute("VACUUM ANALYZE")
    print(f"converted to columnstore: {time.monotonic() - begun:.0f} s", flush=True)


def _copy(conn: DictConnection, device_id: int, start_us: int, count: int) -> None:
    times = np.tile(start_us + np.arange(count) * MINUTE_US, len(SENSORS))
    sensor_ids = np.repeat(SENSORS, count)
    raws = np.concatenate([values(device_id, sensor_id, start_us, count) for sensor_id in SENSORS])
    rows = Columns.of_raw(np.full(len(times), device_id), sensor_ids, times, raws)
    with conn.cursor().copy(COPY) as copy:
        for part in rows.binary():
            copy.write(part)


def _insert(conn: DictConnection, device_id: int, start_us: int, count: int) -> None:
    times = start_us + np.arange(count) * MINUTE_US
    for sensor_id in SENSORS:
        conn.execute(_INSERT, [device_id, sensor_id, times, values(device_id, sensor_id, start_us, count)])
