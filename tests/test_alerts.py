"""Alerts: low batteries, errors that devices report, and the mails and switches that tell of whatever is wrong."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from alerting import (
    BATTERY,
    NOON,
    Tell,
    Told,
    Work,
    faults,
    hear,
    mails_to,
    measure,
    opened,
    publish,
    times_of,
    watched,
)
from caller import Caller
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mail_server import Mailbox, text_of

from app.alerts import check_batteries, check_errors, check_sensors, check_silence
from app.config import Config
from app.jobs import alerts as jobs
from sql import DictConnection, queries

pytestmark = pytest.mark.usefixtures("hearing")


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
