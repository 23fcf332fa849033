"""Datapoints as columns: whose write wins, and what PostgreSQL gets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.columns import Columns
from ingestor.keys import fold, pack, unpack
from ingestor.times import to_us
from sql import DictConnection

keys = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3).map(lambda minute: minute * 60_000_000))


def columns(rows: list[tuple[tuple[int, int, int], float]]) -> Columns:
    return Columns.of_raw(*([key[part] for key, _ in rows] for part in range(3)), [raw for _, raw in rows])


def keys_of(given: Columns) -> list[tuple[int, int, int]]:
    return list(zip(given.device_ids.tolist(), given.sensor_ids.tolist(), given.times.tolist(), strict=True))


@given(st.lists(st.tuples(keys, st.floats(allow_nan=False))))
def test_each_key_comes_once_in_order_with_what_was_said_last(rows: list[tuple[tuple[int, int, int], float]]) -> None:
    given = columns(rows)

    ordered = given.take(given.order())

    assert dict(zip(keys_of(ordered), ordered.raws.tolist(), strict=True)) == dict(rows)
    assert keys_of(ordered) == sorted(dict(rows))


@given(
    st.sets(keys, min_size=1).flatmap(
        lambda all_keys: st.tuples(st.just(all_keys), st.sets(st.sampled_from(sorted(all_keys))))
    )
)
def test_rows_are_found_by_their_keys(sets: tuple[set[tuple[int, int, int]], set[tuple[int, int, int]]]) -> None:
    given = columns([(key, 0.0) for key in sorted(sets[0])])
    wanted = columns([(key, 0.0) for key in sorted(sets[1])])

    found = given.rows_of(wanted.device_ids, wanted.sensor_ids, wanted.times)

    assert set(keys_of(given.take(found))) == sets[1]


def test_postgresql_reads_the_copied_bytes_with_their_nulls(conn: DictConnection) -> None:
    rows = Columns(
        np.array([1, 2, 3, 4], np.int32),
        np.array([55, 56, 10, 14], np.int32),
        np.array([0, 1_768_465_800_000_000, 946_684_800_000_000, -1], np.int64),
        np.array([1.5, -0.0, 1e300, 7.0]),
        np.array([1.5, math.nan, 2.0, math.nan]),
        np.array([0, 0, 7, 8], np.int32),
    )
    with conn.transaction(force_rollback=True):
        conn.execute("CREATE TABLE copied (LIKE datapoints)")
        try:
            with conn.transaction(), conn.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
                for part in rows.binary():
                    copy.write(part)
        except Exception as error:
            if getattr(error, "sqlstate", None) == "0A000":
                pytest.skip("the embedded database takes no COPY")
            raise
        copied = conn.execute(
            "SELECT device_id, sensor_id, extract(epoch FROM time)::float8 AS seconds, raw, value, calibration_id"
            " FROM copied ORDER BY device_id"
        ).fetchall()
    assert [tuple(row.values()) for row in copied] == [
        (1, 55, 0.0, 1.5, 1.5, None),
        (2, 56, 1_768_465_800.0, -0.0, None, None),
        (3, 10, 946_684_800.0, 1e300, 2.0, 7),
        (4, 14, -0.000001, 7.0, None, 8),
    ]


@given(st.lists(st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1), st.integers(-(2**62), 2**62))))
def test_keys_are_unpacked_as_they_were_packed(keys: list[tuple[int, int, int]]) -> None:
    columns = [
        np.array([key[place] for key in keys], kind) for place, kind in enumerate((np.int32, np.int32, np.int64))
    ]

    assert [column.tolist() for column in unpack(pack(*columns))] == [column.tolist() for column in columns]


def test_postgresql_unfolds_keys_as_they_were_folded(conn: DictConnection) -> None:
    kit = [(1, sensor, minute) for sensor in (10, 14, 55) for minute in (0, 1, 2)]
    others = [(1, 56, 1), (1, 57, 1), (2, 57, 1), (2, 58, 1), (2, 58, 2), (3, 10, 0), (3, 14, 1)]
    begun = [(4, 10, 0), (4, 10, 1), (4, 14, 0)]  # the second sensor only begins as the first does
    given = columns(
        [
            ((device, sensor, minute * 60_000_000), raw)
            for raw, (device, sensor, minute) in enumerate(kit + others + begun)
        ]
    )

    folded = fold(given.device_ids, given.sensor_ids, given.times)
    found = conn.execute(
        "SELECT array_agg(device_id) AS devices, array_agg(sensor_id) AS sensors, array_agg(time) AS times,"
        " array_agg(value) AS values FROM datapoints_of(ARRAY(SELECT r FROM runs_of(ROW("
        "  1, now(), '0/0', %(device_ids)s, %(sensor_ids)s, %(times)s, %(raws)s, NULL, NULL, NULL, %(sensor_counts)s,"
        "  %(time_counts)s)::outbox) AS r))",
        {**folded._asdict(), "raws": given.raws},
    ).fetchone()

    assert folded.sensor_counts.tolist() == [3, 2, 1, 1, 1, 1, 1, 1]
    assert len(folded.times) == 3 + 1 + 1 + 2 + 1 + 1 + 2 + 1
    assert list(zip(found["devices"], found["sensors"], map(to_us, found["times"]), strict=True)) == keys_of(given)
    assert found["values"] == given.raws.tolist()
