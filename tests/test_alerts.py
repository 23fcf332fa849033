"""Alerts: what is wrong with devices, found once, told once, and never because the platform itself was away."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from conftest import RunningIngestor
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mail_server import Mailbox, text_of
from waiting import wait_for

from app.alerts import check_batteries, check_errors, check_sensors, check_silence
from app.config import Config
from app.jobs import alerts as jobs
from sql import DictConnection, queries

BATTERY, TEMPERATURE = 10, 55
NOON = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
Work = Callable[[], None]
Tell = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def hearing(conn: DictConnection) -> None:
    """An ingestor that has been receiving all the time."""
    conn.execute("DELETE FROM receivers")
    conn.execute("INSERT INTO receivers VALUES ('ingestor', %s, %s)", [NOON - timedelta(days=99), NOON])


def hear(conn: DictConnection, now: datetime) -> None:
    """The ingestor says that it still receives."""
    conn.execute("UPDATE receivers SET seen_at = %s", [now])


def publish(conn: DictConnection, device_id: int, at: datetime, value: float = 1, sensor_id: int = TEMPERATURE) -> None:
    """What a reading leaves behind, at another time than now."""
    conn.execute("UPDATE devices SET last_reading_at = %s, last_received_at = %s WHERE id = %s", [at, at, device_id])
    conn.execute(
        """
        INSERT INTO components (device_id, sensor_id, key, latest_time, latest_value) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (device_id, sensor_id) DO UPDATE
        SET latest_time = excluded.latest_time, latest_value = excluded.latest_value,
            previous_value = components.latest_value
        """,
        [device_id, sensor_id, f"s{sensor_id}", at, value],
    )


def watched(user: Caller, **fields: Any) -> int:
    """A device whose owner wants to be told of everything."""
    switches = ("stopped_publishing", "low_battery", "faulty_sensors", "errors")
    device = user.register_device(**fields)
    answer = user.patch(f"/v0/devices/{device['id']}", {f"notify_{name}": True for name in switches})
    assert answer.status_code == 200, answer.text
    return int(device["id"])


def opened(conn: DictConnection, device_id: int) -> list[dict[str, Any]]:
    return conn.execute("SELECT * FROM alerts WHERE device_id = %s ORDER BY id", [device_id]).fetchall()


@pytest.fixture
def tell(config: Config, conn: DictConnection, work: Work) -> Tell:
    """A run of the job at a moment; `work` then sends its mails."""

    def tell(now: datetime) -> None:
        check_silence(conn, now)
        check_batteries(conn, now)
        jobs.mail(conn, config, now)

    return tell


def mails_to(mailbox: Mailbox, user: Caller) -> list[str]:
    return [str(message["Subject"]) for message in mailbox.messages if message["To"] == user.user["email"]]


def test_a_device_that_is_silent_for_a_week_causes_one_mail_and_one_when_it_is_back(
    user: Caller, conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    device_id = watched(user, name="Roof")
    publish(conn, device_id, NOON)

    for hour in range(0, 7 * 24, 4):
        hear(conn, NOON + timedelta(hours=hour))
        tell(NOON + timedelta(hours=hour))
    back = NOON + timedelta(days=7)
    publish(conn, device_id, back)
    for minutes in (1, 20, 40):
        hear(conn, back + timedelta(minutes=minutes))
        tell(back + timedelta(minutes=minutes))
    work()

    assert mails_to(mailbox, user) == [
        "Roof has published nothing since 2030-01-15 12:00 UTC.",
        "Roof publishes again.",
    ]


def test_silence_is_three_times_what_is_expected_and_an_hour_at_least(user: Caller, conn: DictConnection) -> None:
    often, seldom = watched(user), watched(user)
    for device_id, interval in ((often, 60), (seldom, 86400)):
        publish(conn, device_id, NOON)
        conn.execute("UPDATE components SET interval = %s WHERE device_id = %s", [interval, device_id])

    def silent_after(passed: timedelta) -> list[int]:
        hear(conn, NOON + passed)
        check_silence(conn, NOON + passed)
        return [device_id for device_id in (often, seldom) if opened(conn, device_id)]

    assert silent_after(timedelta(minutes=59)) == []
    assert silent_after(timedelta(hours=71)) == [often]
    assert silent_after(timedelta(hours=73)) == [often, seldom]


def test_a_device_whose_owner_does_not_want_to_know_causes_no_mail(
    user: Caller, conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    device_id = user.register_device()["id"]
    publish(conn, device_id, NOON, value=5, sensor_id=BATTERY)
    hear(conn, NOON + timedelta(hours=9))

    tell(NOON + timedelta(minutes=1))
    tell(NOON + timedelta(hours=9))
    work()

    assert mails_to(mailbox, user) == []


def test_a_thousand_devices_that_fall_silent_together_cause_one_mail(
    user: Caller, conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    conn.execute(
        """
        INSERT INTO devices (owner_id, name, notify_stopped_publishing, last_reading_at, last_received_at)
        SELECT %s, 'Street ' || n, true, at, at
        FROM (SELECT n, %s::timestamptz - make_interval(secs => n) AS at FROM generate_series(1, 1000) AS n) AS d
        """,
        [user.user["id"], NOON],
    )
    for minutes in range(40, 80, 2):
        hear(conn, NOON + timedelta(minutes=minutes))
        tell(NOON + timedelta(minutes=minutes))
    work()

    told = mails_to(mailbox, user)
    assert len(told) == 2, "the first who fell silent, and a quarter of an hour later all others"
    assert sum(int(subject.split()[0]) for subject in told) == 1000
    assert "more." in mailbox.text()


def test_while_the_platform_is_deaf_nobody_is_taken_for_silent(user: Caller, conn: DictConnection) -> None:
    device_id = watched(user)
    publish(conn, device_id, NOON)

    assert check_silence(conn, NOON + timedelta(days=9)) == {"deaf": 1}  # the ingestor has not been seen since noon
    back = NOON + timedelta(days=9)
    conn.execute("UPDATE receivers SET since = %s, seen_at = %s", [back, back])
    check_silence(conn, back + timedelta(minutes=1))
    hear(conn, back + timedelta(minutes=59))
    check_silence(conn, back + timedelta(minutes=59))
    assert opened(conn, device_id) == []

    hear(conn, back + timedelta(minutes=61))
    check_silence(conn, back + timedelta(minutes=61))
    assert len(opened(conn, device_id)) == 1


def test_of_two_ingestors_that_share_the_work_each_is_missed_for_a_day(user: Caller, conn: DictConnection) -> None:
    device_id = watched(user)
    publish(conn, device_id, NOON)
    conn.execute("INSERT INTO receivers VALUES ('another', %s, %s)", [NOON - timedelta(days=9), NOON])

    def alerts_after(hours: int) -> int:
        now = NOON + timedelta(hours=hours)
        conn.execute("UPDATE receivers SET seen_at = %s WHERE name = 'ingestor'", [now])
        check_silence(conn, now)
        return len(opened(conn, device_id))

    assert alerts_after(23) == 0
    assert alerts_after(25) == 1


def test_an_ingestor_says_that_it_receives_until_it_is_gone(conn: DictConnection, ingestor: RunningIngestor) -> None:
    conn.execute("DELETE FROM receivers")

    def names() -> list[str]:
        return [row["name"] for row in conn.execute("SELECT name FROM receivers").fetchall()]

    wait_for(names)
    assert "deaf" not in check_silence(conn, datetime.now(UTC))
    ingestor.kill()
    assert check_silence(conn, datetime.now(UTC) + timedelta(minutes=10)) == {"deaf": 1}


def test_a_device_whose_clock_was_ahead_is_not_taken_for_silent(user: Caller, conn: DictConnection) -> None:
    device_id = watched(user)
    publish(conn, device_id, NOON + timedelta(hours=20))
    conn.execute("UPDATE devices SET last_received_at = %s WHERE id = %s", [NOON, device_id])
    hear(conn, NOON + timedelta(hours=5))

    check_silence(conn, NOON + timedelta(hours=5))

    assert opened(conn, device_id) == []


def test_real_readings_begin_and_end_it(user: Caller, conn: DictConnection) -> None:
    device_id, now = watched(user), datetime.now(UTC)
    conn.execute("UPDATE receivers SET since = %s, seen_at = %s", [now - timedelta(days=1), now + timedelta(hours=2)])

    def send(at: datetime) -> None:
        reading = {"recorded_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "sensors": [{"id": TEMPERATURE, "value": 20}]}
        assert user.post(f"/v0/devices/{device_id}/readings", {"data": [reading]}).json["stored"] == 1

    send(now - timedelta(seconds=10))
    check_silence(conn, now + timedelta(hours=2))
    (alert,) = opened(conn, device_id)
    assert (alert["kind"], alert["ended_at"]) == ("stopped_publishing", None)
    send(now)
    check_silence(conn, now + timedelta(hours=2))

    (alert,) = opened(conn, device_id)
    assert alert["ended_at"] is not None


class Told:
    """When alerts should begin and end: none twice, and none before the one before it has ended."""

    def __init__(self) -> None:
        self.times: list[tuple[datetime, datetime | None]] = []

    def note(self, now: datetime, begins: bool, ends: bool) -> None:
        is_open = bool(self.times) and self.times[-1][1] is None
        if is_open and ends:
            self.times[-1] = (self.times[-1][0], now)
        elif begins and not is_open:
            self.times.append((now, None))


def times_of(conn: DictConnection, device_id: int) -> list[tuple[datetime, datetime | None]]:
    return [(alert["began_at"], alert["ended_at"]) for alert in opened(conn, device_id)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(levels=st.lists(st.sampled_from([-1.0, 0.0, 1.0, 1.5, 14.9, 15.0, 19.9, 20.0, 90.0]), max_size=12))
@example(levels=[14.9, 19.9, 14.9, 20.0, 14.9, 1.0, 14.9])
def test_a_low_battery_is_told_once_until_it_was_charged(
    user: Caller, conn: DictConnection, levels: list[float]
) -> None:
    device_id, told = watched(user), Told()
    for day, level in enumerate(levels):  # a day apart, so that none is too soon after another
        now = NOON + timedelta(days=day)
        publish(conn, device_id, now, level, BATTERY)
        check_batteries(conn, now)
        told.note(now, begins=1 < level < 15, ends=level >= 20 or level <= 1)

    assert times_of(conn, device_id) == told.times


def test_a_stale_battery_level_is_none(user: Caller, conn: DictConnection) -> None:
    device_id = watched(user)
    publish(conn, device_id, NOON, 5, BATTERY)

    check_batteries(conn, NOON + timedelta(minutes=61))
    assert opened(conn, device_id) == []
    check_batteries(conn, NOON + timedelta(minutes=59))
    assert len(opened(conn, device_id)) == 1


def test_a_battery_that_goes_up_and_down_is_told_twice_a_day_at_most(user: Caller, conn: DictConnection) -> None:
    device_id = watched(user)
    for minutes, level in ((0, 5), (15, 90), (719, 5), (721, 5), (730, 90), (1439, 5)):
        now = NOON + timedelta(minutes=minutes)
        publish(conn, device_id, now, level, BATTERY)
        check_batteries(conn, now)

    assert [alert["began_at"] - NOON for alert in opened(conn, device_id)] == [timedelta(0), timedelta(minutes=721)]


def off_address(mailbox: Mailbox) -> str:
    found = re.fullmatch(r"<http://[^/]+(/ui/notifications/off/[^>]+)>", str(mailbox.messages[-1]["List-Unsubscribe"]))
    assert found is not None
    return found[1]


def notify(user: Caller, device_id: int) -> dict[str, bool]:
    return dict(user.get(f"/v0/devices/{device_id}").json["notify"])


def test_a_mail_has_a_switch_that_one_click_turns_off(
    user: Caller, anybody: Caller, conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    device_id, other = watched(user, name="Roof"), watched(user)
    publish(conn, device_id, NOON)
    hear(conn, NOON + timedelta(hours=2))
    tell(NOON + timedelta(hours=2))
    work()
    assert mailbox.messages[-1]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = off_address(mailbox)
    assert address in text_of(mailbox.messages[-1])

    page = anybody.get(address)
    assert "Roof has published nothing" in page.text
    assert notify(user, device_id)["stopped_publishing"], "a look changes nothing: mail programs look ahead"
    done = anybody.post(address, data={"List-Unsubscribe": "One-Click"})

    assert done.status_code == 200
    switches = {"stopped_publishing": True, "low_battery": True, "faulty_sensors": True, "errors": True}
    assert notify(user, device_id) == {**switches, "stopped_publishing": False}
    assert notify(user, other) == switches


def test_a_switch_that_was_not_made_here_turns_nothing_off(anybody: Caller) -> None:
    assert anybody.get("/ui/notifications/off/MQ.forged").status_code == 404
    assert anybody.post("/ui/notifications/off/MQ.forged").status_code == 404


def test_a_switch_does_not_reach_a_device_that_has_another_owner_now(
    user: Caller,
    anybody: Caller,
    new_user: Callable[..., Caller],
    conn: DictConnection,
    mailbox: Mailbox,
    tell: Tell,
    work: Work,
) -> None:
    device_id, heir = watched(user), new_user()
    publish(conn, device_id, NOON)
    hear(conn, NOON + timedelta(hours=2))
    tell(NOON + timedelta(hours=2))
    work()
    conn.execute("UPDATE devices SET owner_id = %s WHERE id = %s", [heir.user["id"], device_id])

    anybody.post(off_address(mailbox))

    assert notify(heir, device_id)["stopped_publishing"]


def test_a_mail_after_a_transfer_has_the_name_of_before(
    user: Caller, new_user: Callable[..., Caller], conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    device_id, heir, now = watched(user, name="Roof"), new_user(), NOON + timedelta(hours=2)
    publish(conn, device_id, NOON)
    hear(conn, now)
    check_silence(conn, now)
    conn.execute("UPDATE devices SET owner_id = %s, name = 'Secret' WHERE id = %s", [heir.user["id"], device_id])

    tell(now)
    work()

    (subject,) = mails_to(mailbox, user)
    assert subject.startswith("Roof has published nothing")


@pytest.fixture
def thermometer(admin: Caller) -> int:
    """A sensor that gives -40 to 125, and never the same for six hours."""
    fields = {"minimum": -40, "maximum": 125, "stuck_after": 6 * 3600, "unit": "ºC"}
    made = admin.post("/v0/sensors", {"name": "Probe", "description": "", **fields})
    assert made.status_code == 201, made.text
    return int(made.json["id"])


def measure(
    user: Caller, device_id: int, sensor_id: int, values: list[float], until: datetime, minutes_apart: int = 10
) -> None:
    """Send values, so many minutes apart."""
    data = [
        {
            "recorded_at": f"{until - timedelta(minutes=minutes_apart * back):%Y-%m-%dT%H:%M:%SZ}",
            "sensors": [{"id": sensor_id, "value": value}],
        }
        for back, value in enumerate(reversed(values))
    ]
    assert user.post(f"/v0/devices/{device_id}/readings", {"data": data}).json["stored"] == len(values)


def faults(conn: DictConnection, device_id: int) -> list[tuple[str, bool]]:
    return [(alert["kind"], alert["ended_at"] is None) for alert in opened(conn, device_id)]


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


def test_an_error_that_a_device_reports_is_told_once_until_it_is_resolved(
    user: Caller, conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    device_id, now = watched(user, name="Roof"), datetime.now(UTC)

    def report(minutes: int) -> None:
        at = now + timedelta(minutes=minutes)
        queries.store_device_errors(
            conn, device_ids=[device_id], components=["t"], codes=["E7"], times=[at], messages=["no answer"]
        )
        check_errors(conn, now)

    for minutes in (0, 1, 70):
        report(minutes)
    assert faults(conn, device_id) == [("device_error", True)]
    for error in user.get(f"/v0/devices/{device_id}/errors").json:
        conn.execute("UPDATE device_errors SET resolved_at = now() WHERE id = %s", [error["id"]])
    check_errors(conn, now)
    assert faults(conn, device_id) == [("device_error", False)]

    jobs.mail(conn, Config.from_env(), now)
    work()
    assert mails_to(mailbox, user) == ["Roof reports E7 t: no answer."]


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


def trouble(user: Caller, conn: DictConnection, sensor_id: int, now: datetime) -> int:
    """A device of which everything is wrong; it is silent from now on."""
    device_id = watched(user)
    measure(user, device_id, sensor_id, [200, 201], now)
    publish(conn, device_id, now, 5, BATTERY)
    queries.store_device_errors(
        conn, device_ids=[device_id], components=["t"], codes=["E7"], times=[now], messages=["no answer"]
    )
    return device_id


def check_everything(conn: DictConnection, now: datetime) -> None:
    for check in (check_batteries, check_sensors, check_errors):
        check(conn, now)
    hear(conn, now + timedelta(hours=2))
    conn.execute("UPDATE receivers SET since = %s", [now - timedelta(days=1)])
    check_silence(conn, now + timedelta(hours=2))


EVERYTHING = ["device_error", "low_battery", "out_of_range", "stopped_publishing"]


def test_nothing_is_told_of_a_device_in_the_trash(user: Caller, conn: DictConnection, thermometer: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    kept, thrown_away = (trouble(user, conn, thermometer, now) for _ in range(2))
    user.delete(f"/v0/devices/{thrown_away}")

    check_everything(conn, now)

    assert sorted(alert["kind"] for alert in opened(conn, kept)) == EVERYTHING
    assert opened(conn, thrown_away) == []


def test_a_mail_that_tells_of_everything_switches_everything_off(
    user: Caller, anybody: Caller, conn: DictConnection, thermometer: int, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    device_id = trouble(user, conn, thermometer, now)
    check_everything(conn, now)
    jobs.mail(conn, Config.from_env(), now)
    work()

    anybody.post(off_address(mailbox), data={"List-Unsubscribe": "One-Click"})

    assert not any(notify(user, device_id).values())


def test_who_has_closed_the_account_gets_no_mail(
    user: Caller, conn: DictConnection, mailbox: Mailbox, tell: Tell, work: Work
) -> None:
    publish(conn, watched(user), NOON)
    hear(conn, NOON + timedelta(hours=2))
    check_silence(conn, NOON + timedelta(hours=2))
    user.delete("/v0/me")

    tell(NOON + timedelta(hours=2))
    work()

    assert mails_to(mailbox, user) == []


@pytest.mark.parametrize(("minutes", "open_alerts"), [(59, 1), (61, 0)])
def test_an_error_is_told_within_an_hour_or_not_at_all(
    user: Caller, conn: DictConnection, thermometer: int, minutes: int, open_alerts: int
) -> None:
    device_id, now = trouble(user, conn, thermometer, datetime.now(UTC)), datetime.now(UTC)

    check_errors(conn, now + timedelta(minutes=minutes))

    assert len(opened(conn, device_id)) == open_alerts


def test_an_error_is_over_that_was_not_reported_for_a_day(user: Caller, conn: DictConnection, thermometer: int) -> None:
    device_id, now = trouble(user, conn, thermometer, datetime.now(UTC)), datetime.now(UTC)
    check_errors(conn, now)

    check_errors(conn, now + timedelta(hours=23))
    assert faults(conn, device_id) == [("device_error", True)]
    check_errors(conn, now + timedelta(hours=25))
    assert faults(conn, device_id) == [("device_error", False)]


def test_an_ingestor_that_was_away_for_minutes_receives_since_it_is_back(conn: DictConnection) -> None:
    def since_after(away: timedelta) -> timedelta:
        """How long it has received, once it is back from so long."""
        conn.execute("UPDATE receivers SET since = now() - interval '1 day', seen_at = now() - %s", [away])
        queries.note_receiver(conn, name="ingestor")
        now = datetime.now(UTC)
        return now - queries.receiving_since(conn, now=now)

    assert since_after(timedelta(seconds=110)) > timedelta(hours=23)
    assert since_after(timedelta(seconds=130)) < timedelta(minutes=1)


def test_a_sensor_whose_range_holds_no_value_is_refused(admin: Caller, thermometer: int) -> None:
    answer = admin.patch(f"/v0/sensors/{thermometer}", {"minimum": 125})

    assert answer.status_code == 422
    assert answer.json["errors"] == {"minimum": ["125 is not below the maximum, 125"]}
