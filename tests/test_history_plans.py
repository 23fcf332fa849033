"""How PostgreSQL answers history: from the chunks of the range alone, by their keys, never by reading a table whole."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from psycopg import ClientCursor
from psycopg.rows import tuple_row
from waiting import refresh_all

from sql import DictConnection, connect, queries

FIRST = datetime(2021, 1, 6, 12, tzinfo=UTC)
WEEKS = 60  # as many chunks
SENSORS = {"device_id": 0, "sensor_ids": [55]}
RANGE = {"start": FIRST + timedelta(weeks=30), "before": FIRST + timedelta(weeks=30, days=2)}
SEGMENTS = {
    "segment_raw": {**SENSORS, **RANGE, "as_received": False, "largest": 1e100},
    "segment_15m": {**SENSORS, **RANGE},
    "segment_15m_whole": {**SENSORS, **RANGE},
    "segment_1h": {**SENSORS, **RANGE},
    "segment_1h_whole": {**SENSORS, **RANGE},
    "segment_1d": {**SENSORS, **RANGE},
    "segment_1d_whole": {**SENSORS, **RANGE},
    "reading_interval": {"device_id": 0, "sensor_id": 55, **RANGE},
}


@pytest.fixture
def device_id(user: Caller, conn: DictConnection) -> int:
    """A device that has sent one reading a week."""
    device_id: int = user.register_device()["id"]
    times = [FIRST + timedelta(weeks=week) for week in range(WEEKS)]
    data = [{"recorded_at": time.isoformat(), "sensors": [{"id": 55, "value": 21.4}]} for time in times]
    answer = user.post(f"/v0/devices/{device_id}/readings", {"data": data})
    assert answer.status_code == 200, answer.text
    refresh_all(conn)
    return device_id


def plan(conn: DictConnection, name: str, parameters: dict[str, Any]) -> list[str]:
    """Return the lines of a plan for which reading a table whole is the last resort: the tables here are small."""
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL enable_seqscan = off")
        rows = conn.execute(f"EXPLAIN {getattr(queries, name).sql}", parameters).fetchall()
    return [line for row in rows for line in row.values()]


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_range_is_read_from_its_chunks_by_the_key(conn: DictConnection, device_id: int, name: str) -> None:
    lines = plan(conn, name, SEGMENTS[name] | {"device_id": device_id})
    scans = [line for line in lines if re.search(r"Scan .*on (compress)?_hyper_", line)]
    chunks = set(re.findall(r" on (_hyper_\d+_\d+_chunk)", "\n".join(scans)))
    conditions = [line for line in lines if "Index Cond" in line]

    assert 1 <= len(chunks) <= 2, lines
    assert [line for line in scans if "Seq Scan" in line] == []
    # In an aggregate's table of one page TimescaleDB's own index of the bucket may do as well.
    of_the_key = [line for line in conditions if "device_id = " in line]
    assert of_the_key or (conditions and name not in ("segment_raw", "reading_interval")), lines


@pytest.mark.parametrize("name", [name for name in SEGMENTS if re.search(r"_(15m|1h|1d)", name)])
def test_a_prepared_plan_opens_the_chunks_of_the_range_alone(conn: DictConnection, device_id: int, name: str) -> None:
    """PostgreSQL may keep a plan made for any range: `history` has these prepared."""
    parameters = SEGMENTS[name] | {"device_id": device_id}
    numbered = {parameter: f"${number}" for number, parameter in enumerate(parameters, 1)}
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        conn.execute(
            f"PREPARE any_range (int, int[], timestamptz, timestamptz) AS {getattr(queries, name).sql % numbered}"
        )
        try:
            rows = ClientCursor(conn, row_factory=tuple_row).execute(
                "EXPLAIN (ANALYZE, COSTS off, TIMING off) EXECUTE any_range (%s, %s, %s, %s)", list(parameters.values())
            )
            lines = [line for (line,) in rows]
        finally:
            conn.execute("DEALLOCATE any_range")
    chunks = set(re.findall(r" on (_hyper_\d+_\d+_chunk)(?!.*never executed)", "\n".join(lines)))

    assert 1 <= len(chunks) <= 2, lines


@pytest.mark.parametrize("name", ["segment_15m", "segment_1h", "segment_1d"])
def test_averages_of_new_rollups_are_read_from_the_index_alone(conn: DictConnection, device_id: int, name: str) -> None:
    """In the row store one component's buckets stand a page apart from each other.

    Of a chunk that has been converted in the meantime the columns are read too.
    """
    lines = plan(conn, name, SEGMENTS[name] | {"device_id": device_id})
    scans = [line for line in lines if re.search(r"Scan .*on _hyper_", line) and "ColumnarScan" not in line]

    assert scans
    assert all("Index Only Scan" in scan for scan in scans), lines


def test_connections_to_one_session_share_no_prepared_statements(database_url: str, device_id: int) -> None:
    week = {"start": FIRST - timedelta(days=1), "before": FIRST + timedelta(weeks=1)}
    segment = {"device_id": device_id, "sensor_ids": [55], **week}
    for _ in range(2):
        with connect(database_url) as first, connect(database_url) as second:
            for conn in (first, second, first):
                assert [row["sensor_id"] for row in queries.segment_1d(conn, **segment)] == [55]


def test_a_reading_from_2106_moves_neither_the_horizon_nor_an_aggregate(user: Caller, conn: DictConnection) -> None:
    device_id = user.register_device()["id"]
    sensors = [{"id": 55, "value": 21.4}]
    now = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    data = [{"recorded_at": "2106-02-07T06:28:15Z", "sensors": sensors}, {"recorded_at": now, "sensors": sensors}]
    answer = user.post(f"/v0/devices/{device_id}/readings", {"data": data})
    assert answer.status_code == 200, answer.text

    refresh_all(conn)

    (state,) = conn.execute("SELECT horizon, refreshed_until FROM rollup_horizon").fetchall()
    assert max(state.values()) <= datetime.now(UTC)
    assert len(user.history(device_id, 55, rollup="1h", relative="1d")) == 1
