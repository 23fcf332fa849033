"""Sensors that are stuck or out of their range: told once, and over once they are sound again."""

from datetime import UTC, datetime, timedelta

import pytest
from alerting import NOON, TEMPERATURE, Tell, Told, Work, faults, mails_to, measure, opened, publish, times_of, watched
from caller import Caller
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mail_server import Mailbox

from app.alerts import check_sensors
from app.config import Config
from app.jobs import alerts as jobs
from sql import DictConnection

pytestmark = pytest.mark.usefixtures("hearing")


def test_values_that_a_sensor_cannot_give_are_told_once_and_end_with_two_that_it_can(
    user: Caller, conn: DictConnection, thermometer: int, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    device_id, now = watched(user, name="Roof"), datetime.now(UTC).replace(microsecond=0)

    measure(user, device_id, thermometer, [20, 200], now - timedelta(minutes=30))
    check_sensors(conn, now)
    assert faults(conn, device_id) == [], "one alone may be a slip"
    measure(user, device_id, thermometer, [201], now - timedelta(minutes=20))
    check_sensors(conn, now)
    check_sensors(conn, now)
    assert faults(conn, device_id) == [("out_of_range", True)]
    measure(user, device_id, thermometer, [21], now - timedelta(minutes=10))
    check_sensors(conn, now)
    assert faults(conn, device_id) == [("out_of_range", True)]
    measure(user, device_id, thermometer, [22], now)
    check_sensors(conn, now)
    assert faults(conn, device_id) == [("out_of_range", False)]

    jobs.mail(conn, Config.from_env(), now)
    work()
    key = conn.execute("SELECT key FROM components WHERE device_id = %s", [device_id]).fetchone()
    assert key is not None
    assert mails_to(mailbox, user) == [f"Roof: {key['key']} is at 201 ºC, above 125, which its sensor cannot give."]


def test_a_value_that_rests_too_long_is_told_and_one_that_moves_or_may_rest_is_not(
    user: Caller, conn: DictConnection, thermometer: int, admin: Caller
) -> None:
    stuck, moves, patient, now = watched(user), watched(user), watched(user), datetime.now(UTC).replace(microsecond=0)
    steady = admin.post("/v0/sensors", {"name": "Steady", "description": ""}).json["id"]
    measure(user, stuck, thermometer, [20.0] * 40, now)
    measure(user, moves, thermometer, [20.0] * 35 + [20.1] + [20.0] * 4, now)
    measure(user, patient, steady, [20.0] * 40, now)

    check_sensors(conn, now)
    assert [faults(conn, device_id) for device_id in (stuck, moves, patient)] == [[("stuck", True)], [], []]

    measure(user, stuck, thermometer, [20.5], now + timedelta(seconds=1))
    check_sensors(conn, now + timedelta(seconds=1))
    assert faults(conn, stuck) == [("stuck", False)]


def out_of_range(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    low=st.sampled_from([None, 0.0]),
    high=st.sampled_from([None, 10.0]),
    values=st.lists(st.sampled_from([-1.0, 0.0, 5.0, 10.0, 11.0]), max_size=8),
)
@example(low=0.0, high=10.0, values=[-1.0, 11.0, 5.0, -1.0, 0.0, 10.0, 11.0, 11.0, 10.0, 10.0])
@example(low=0.0, high=None, values=[-1.0, -1.0, 11.0, 11.0])
def test_a_sensor_is_at_fault_from_two_values_out_of_its_range_to_two_within_it(
    user: Caller, conn: DictConnection, thermometer: int, low: float | None, high: float | None, values: list[float]
) -> None:
    conn.execute("UPDATE sensors SET minimum = %s, maximum = %s WHERE id = %s", [low, high, thermometer])
    device_id, told = watched(user), Told()
    for day, value in enumerate(values):  # a day apart, so that none is too soon after another
        now = NOON + timedelta(days=day)
        publish(conn, device_id, now, value, thermometer)
        check_sensors(conn, now)
        if day:
            outside = [out_of_range(each, low, high) for each in (values[day - 1], value)]
            told.note(now, begins=all(outside), ends=not any(outside))

    assert times_of(conn, device_id) == told.times


def test_a_sensor_that_is_at_fault_now_and_then_is_told_twice_a_day_at_most(
    user: Caller, conn: DictConnection, thermometer: int
) -> None:
    device_id = watched(user)

    def told_after(minutes: int, *values: float) -> int:
        for value in values:
            publish(conn, device_id, NOON + timedelta(minutes=minutes), value, thermometer)
        check_sensors(conn, NOON + timedelta(minutes=minutes))
        return len(opened(conn, device_id))

    assert told_after(0, 200, 200) == 1
    assert told_after(10, 20, 20) == 1
    assert told_after(719, 200, 200) == 1
    assert told_after(721, 200, 200) == 2


@pytest.mark.parametrize(
    ("values", "minutes_apart", "minutes_ago", "is_stuck"),
    [
        ([20.0] * 31, 10, 0, True),
        ([20.0] * 29, 10, 0, False),
        ([20.0] * 5, 75, 0, True),
        ([20.0] * 4, 100, 0, False),
        ([19.0] * 9 + [20.0] * 37, 10, 0, True),
        ([19.0] * 9 + [20.0] * 29, 10, 0, False),
        ([20.0] * 31, 10, 59, True),
        ([20.0] * 31, 10, 61, False),
    ],
    ids=[
        "five hours",
        "not yet",
        "five values",
        "too few",
        "it moved",
        "it has just moved",
        "heard",
        "no longer heard",
    ],
)
def test_a_sensor_is_stuck_that_gives_one_value_five_times_for_most_of_what_is_its_longest_rest(
    user: Caller,
    conn: DictConnection,
    thermometer: int,
    values: list[float],
    minutes_apart: int,
    minutes_ago: int,
    is_stuck: bool,
) -> None:
    device_id, now = watched(user), datetime.now(UTC).replace(microsecond=0)
    measure(user, device_id, thermometer, values, now, minutes_apart)
    measure(user, device_id, TEMPERATURE, [20.0, 20.5], now)

    check_sensors(conn, now + timedelta(minutes=minutes_ago))

    assert faults(conn, device_id) == ([("stuck", True)] if is_stuck else [])


def test_a_sensor_whose_range_holds_no_value_is_refused(admin: Caller, thermometer: int) -> None:
    answer = admin.patch(f"/v0/sensors/{thermometer}", {"minimum": 125})

    assert answer.status_code == 422
    assert answer.json["errors"] == {"minimum": ["125 is not below the maximum, 125"]}
