"""How many readings are expected, of a component that is told now and then to read at another pace."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from caller import Caller
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from readings import receive

from app.history.expected import Pace, expected_readings
from ingestor.times import to_us
from sql import DictConnection

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
_paces = st.lists(
    st.tuples(st.integers(0, 47), st.booleans(), st.sampled_from([None, 60.0, 600.0, 900.0])), max_size=5
).map(lambda drawn: sorted(drawn, key=lambda pace: pace[0]))


@given(drawn=_paces, usual_s=st.sampled_from([30.0, 300.0]))
def test_every_second_counts_at_the_pace_of_its_time(
    drawn: list[tuple[int, bool, float | None]], usual_s: float
) -> None:
    """The reference adds up half hours, each at the last pace before it."""
    paces = [Pace(NOON + half * HOUR / 2, enabled, interval) for half, enabled, interval in drawn]
    starts = np.array([to_us(NOON + n * 2 * HOUR) for n in range(12)])
    wanted = []
    for bucket in range(12):
        total = 0.0
        for half in range(bucket * 4, bucket * 4 + 4):
            enabled, interval = next(((e, i) for at, e, i in reversed(drawn) if at <= half), (True, None))
            total += 1800 / (interval or usual_s) if enabled else 0
        wanted.append(0 if total < 1e-9 else max(1, round(total)))

    assert expected_readings(paces, usual_s, starts, starts + 7_200_000_000) == wanted


def test_nothing_is_expected_where_nobody_said_anything() -> None:
    starts = np.array([to_us(NOON)])

    assert expected_readings([], None, starts, starts + 3_600_000_000) == [None]


def tell(conn: DictConnection, device_id: int, since: datetime, applied: bool, **config: object) -> None:
    conn.execute(
        "INSERT INTO device_configs (device_id, version, config, created_at, reported_at, applied_at)"
        " SELECT %(id)s, count(*) + 1, %(config)s, %(since)s, %(told)s, %(told)s"
        " FROM device_configs WHERE device_id = %(id)s",
        {
            "id": device_id,
            "config": Jsonb({"publish_interval": None, "components": {}, "settings": {}, **config}),
            "since": since,
            "told": since if applied else None,
        },
    )


def test_a_coverage_that_is_kept_is_asked_for_anew_once_the_device_is_told_otherwise(
    user: Caller, conn: DictConnection
) -> None:
    device_id = user.register_device()["id"]
    receive(conn, device_id, s55=[(NOON, 1.0)])
    tell(conn, device_id, NOON - HOUR, applied=True, publish_interval=60)
    path = f"/v0/devices/{device_id}/readings?sensor_id=55&rollup=1h&coverage=true&from=2026-01-15&to=2026-01-16"
    first = user.get(path)
    kept = {"If-None-Match": first.headers["ETag"]}
    assert user.get(path, headers=kept).status_code == 304

    tell(conn, device_id, NOON - HOUR, applied=True, publish_interval=600)

    again = user.get(path, headers=kept)
    assert (first.json["readings"][0][2:], again.json["readings"][0][2:]) == ([1, 60], [1, 6])


def coverage(user: Caller, device_id: int) -> list[list[int]]:
    query = {"sensor_id": 55, "rollup": "1h", "coverage": "true", "all_intervals": "true", "function": "count"}
    between = {"from": NOON.isoformat(), "to": (NOON + 3.999 * HOUR).isoformat()}
    answer = user.get(f"/v0/devices/{device_id}/readings", query_string={**query, **between})
    assert answer.status_code == 200, answer.text
    return [row[2:] for row in reversed(answer.json["readings"])]


def test_historys_coverage_follows_what_the_device_was_told_and_did(user: Caller, conn: DictConnection) -> None:
    device_id = user.register_device()["id"]
    receive(conn, device_id, s55=[(NOON + n * HOUR / 6, 20.0) for n in range(24)])
    tell(conn, device_id, NOON + HOUR, True, publish_interval=60)
    tell(
        conn,
        device_id,
        NOON + 2 * HOUR,
        True,
        publish_interval=60,
        components={"t": {"interval": 900, "enabled": True}},
    )
    tell(conn, device_id, NOON + 2.5 * HOUR, False, publish_interval=1)  # it never did that
    tell(conn, device_id, NOON + 3 * HOUR, True, components={"t": {"interval": None, "enabled": False}})

    assert coverage(user, device_id) == [[6, 6], [6, 60], [6, 4], [6, 0]]


def test_what_a_device_goes_back_to_counts_from_when_it_does(user: Caller, conn: DictConnection) -> None:
    device_id = user.register_device()["id"]
    receive(conn, device_id, s55=[(NOON + n * HOUR / 6, 20.0) for n in range(24)])
    tell(conn, device_id, NOON + 2 * HOUR, True, publish_interval=900)
    tell(conn, device_id, NOON + HOUR, True, publish_interval=60)  # the later version, which it did before

    assert coverage(user, device_id) == [[6, 6], [6, 60], [6, 4], [6, 4]]


def test_where_nobody_said_anything_a_components_own_rhythm_in_that_time_counts(
    user: Caller, conn: DictConnection
) -> None:
    device_id = user.register_device()["id"]
    receive(
        conn,
        device_id,
        s55=[
            *((NOON - n * HOUR / 60, 20.0) for n in range(1, 150)),
            *((NOON + n * HOUR / 6, 20.0) for n in range(24)),
            *((NOON + 4 * HOUR + n * HOUR / 60, 20.0) for n in range(150)),
        ],
        s56=[(NOON + n * HOUR / 60, 50.0) for n in range(240)],
    )

    assert coverage(user, device_id) == [[6, 6]] * 4


def test_a_device_that_never_says_anything_is_taken_at_its_owners_word(user: Caller, conn: DictConnection) -> None:
    device_id = user.register_device()["id"]
    receive(conn, device_id, s55=[(NOON + n * HOUR / 6, 20.0) for n in range(24)])
    tell(conn, device_id, NOON + 2 * HOUR, False, publish_interval=300)

    assert coverage(user, device_id) == [[6, 6], [6, 6], [6, 12], [6, 12]]


@pytest.mark.parametrize(
    ("kit", "told", "expected"),
    [
        ({}, [], None),
        ({"components": [{"sensor_id": 55, "interval": 900}, {"sensor_id": 56, "interval": 60}]}, [], 60),
        ({"publish_interval": 300, "components": [{"sensor_id": 55, "interval": 60}]}, [], 300),
        ({"publish_interval": 300}, [(True, 120)], 120),
        ({"publish_interval": 300}, [(True, 120), (False, 10)], 120),
        ({"publish_interval": 300}, [(False, 10)], 10),
    ],
)
def test_how_often_something_is_expected_of_a_device(
    user: Caller,
    conn: DictConnection,
    kit: dict[str, object],
    told: list[tuple[bool, float]],
    expected: float | None,
) -> None:
    made = user.post("/v0/kits", {"name": "Air", "components": [{"sensor_id": 55}], **kit}).json
    device_id = user.register_device(kit_id=made["id"])["id"]
    conn.execute("DELETE FROM device_configs WHERE device_id = %s", [device_id])
    for number, (applied, seconds) in enumerate(told):
        tell(conn, device_id, NOON + number * HOUR, applied, publish_interval=seconds)

    row = conn.execute("SELECT interval FROM expected_intervals WHERE device_id = %s", [device_id]).fetchone()

    assert row == {"interval": expected}
