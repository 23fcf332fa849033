"""Which version of a calibration makes a value: the nearest scope's newest that is valid at the datapoint's time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from caller import Caller, sign_up
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.seed import seed
from ingestor.calibration import Calibration, Readings, Version
from ingestor.columns import Columns
from ingestor.equation import compile_equation
from ingestor.times import to_us
from ingestor.versions import Versions, calibrate
from sql import DictConnection, queries

T0 = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
SCK_1_0, SCK_1_1 = 2, 3
NOISE, TEMPERATURE, LIGHT, BATTERY = 7, 12, 14, 10


def computed(conn: DictConnection, device_id: int, sensor_id: int, raw: float) -> float:
    """The value of a datapoint of T0."""
    rows = Columns.of_raw([device_id], [sensor_id], [to_us(T0)], [raw])
    rows, _ = calibrate(conn, rows, Versions(), queries.hold_rollup_horizon(conn))
    return float(rows.values[0])


def in_order(*columns: Any) -> Columns:
    rows = Columns.of_raw(*columns)
    return rows.take(rows.order())


@pytest.mark.parametrize(
    ("kit_id", "sensor_id", "raw", "value"),
    [
        (SCK_1_1, TEMPERATURE, 25768, 16.0910791015625),
        (SCK_1_1, LIGHT, 509, 50.9),
        (SCK_1_1, NOISE, 4, 57.333333333333336),
        (SCK_1_0, NOISE, 4, 36),
        (SCK_1_0, BATTERY, 985, 98.5),
        (26, BATTERY, 97, 97),  # kits of series 2 send percent
        (26, LIGHT, 509, 509),
    ],
)
def test_a_seeded_kit_shows_the_references_examples(
    user: Caller, conn: DictConnection, kit_id: int, sensor_id: int, raw: float, value: float
) -> None:
    device = user.register_device(kit_id=kit_id)

    assert computed(conn, device["id"], sensor_id, raw) == pytest.approx(value, rel=1e-12)


def test_seeding_again_adds_no_version(conn: DictConnection) -> None:
    count = "SELECT count(*) FROM calibrations WHERE id < 10000"
    before = conn.execute(count).fetchone()

    seed(conn)

    assert conn.execute(count).fetchone() == before


DAYS = st.integers(0, 5)
# (scope, day of valid_from, factor); a factor of None hands over to the next wider scope
VERSIONS = st.lists(st.tuples(st.sampled_from(["sensor", "kit", "device"]), DAYS, st.sampled_from([None, 2, 3, 5, 7])))


def nearest_factor(versions: list[tuple[str, int, int | None]], day: int) -> int | None:
    """What the documentation says, said again in the plainest words."""
    for scope in ("device", "kit", "sensor"):
        valid = [(start, position) for position, (of, start, _) in enumerate(versions) if of == scope and start <= day]
        if valid and (factor := versions[max(valid)[1]][2]) is not None:
            return factor
    return None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=VERSIONS)
def test_the_nearest_valid_version_wins(
    versions: list[tuple[str, int, int | None]], two_devices: tuple[int, int], conn: DictConnection
) -> None:
    device_id, of_no_kit = two_devices
    days = range(-1, 7)
    with conn.transaction(force_rollback=True):
        for scope, day, factor in versions:
            conn.execute(
                "INSERT INTO calibrations (sensor_id, kit_id, device_id, valid_from, equation)"
                " VALUES (55, %s, %s, %s, %s)",
                [
                    26 if scope == "kit" else None,
                    device_id if scope == "device" else None,
                    T0 + timedelta(days=day),
                    factor and f"raw * {factor}",
                ],
            )
        times = [to_us(T0 + timedelta(days=day)) for day in days]
        rows = in_order(
            [device_id] * len(days) + [of_no_kit] * len(days), [55] * 2 * len(days), times * 2, [1.0] * 2 * len(days)
        )
        rows, _ = calibrate(conn, rows, Versions(), queries.hold_rollup_horizon(conn))

    by_sensor = [version for version in versions if version[0] == "sensor"]
    expected = [nearest_factor(versions, day) for day in days] + [nearest_factor(by_sensor, day) for day in days]
    assert rows.values.tolist() == [factor or 1 for factor in expected]
    assert (rows.calibration_ids > 0).tolist() == [factor is not None for factor in expected]


@pytest.fixture(scope="module")
def two_devices(app: Flask) -> tuple[int, int]:
    """One with a kit and one without."""
    owner = sign_up(app)
    return owner.register_device(kit_id=26)["id"], owner.register_device()["id"]


KEYS = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))


@given(st.dictionaries(KEYS, st.floats(-10, 10), min_size=1), st.lists(KEYS, min_size=1))
def test_a_raw_is_found_by_its_whole_key(known: dict[tuple[int, int, int], float], wanted: list[Any]) -> None:
    readings = Readings(in_order(*zip(*known, strict=True), list(known.values())))

    found = readings.raws(*(np.array(column) for column in zip(*wanted, strict=True)))

    np.testing.assert_array_equal(found, [known.get(key, np.nan) for key in wanted])


def compensation(**sensors_of_keys: int) -> Calibration:
    """Sensor 1 of any device, corrected by its component `t`."""
    keys = {(device_id, key): sensor_id for key, sensor_id in sensors_of_keys.items() for device_id in (1, 2)}
    return Calibration([Version(9, 1, compile_equation("raw - t"), 0)], sensors_of_keys=keys)


def test_another_component_counts_with_what_it_sent_at_the_same_time_on_the_same_device() -> None:
    rows = in_order([1, 1, 1, 1, 2, 2], [1, 1, 2, 2, 1, 2], [10, 20, 10, 20, 10, 11], [5, 6, 1, 2, 7, 3])

    rows = compensation(t=2).apply(rows)

    np.testing.assert_array_equal(rows.values, [4, 4, 1, 2, np.nan, 3])
    assert rows.calibration_ids.tolist() == [9, 9, 0, 0, 9, 0]


def test_a_component_that_the_device_lacks_makes_the_value_null_and_keeps_the_raw() -> None:
    rows = in_order([1], [1], [10], [5.0])

    rows = compensation().apply(rows)

    assert np.isnan(rows.values).all()
    assert rows.raws.tolist() == [5.0]
