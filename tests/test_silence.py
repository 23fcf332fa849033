"""Silence: a device that publishes nothing is told of once, and never because the platform itself was away."""

from datetime import UTC, datetime, timedelta

import pytest
from alerting import BATTERY, NOON, TEMPERATURE, Tell, Work, hear, mails_to, opened, publish, watched
from caller import Caller
from conftest import RunningIngestor
from mail_server import Mailbox
from waiting import wait_for

from app.alerts import check_silence
from sql import DictConnection, queries

pytestmark = pytest.mark.usefixtures("hearing")


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


def test_an_ingestor_that_was_away_for_minutes_receives_since_it_is_back(conn: DictConnection) -> None:
    def since_after(away: timedelta) -> timedelta:
        """How long it has received, once it is back from so long."""
        conn.execute("UPDATE receivers SET since = now() - interval '1 day', seen_at = now() - %s", [away])
        queries.note_receiver(conn, name="ingestor")
        now = datetime.now(UTC)
        return now - queries.receiving_since(conn, now=now)

    assert since_after(timedelta(seconds=110)) > timedelta(hours=23)
    assert since_after(timedelta(seconds=130)) < timedelta(minutes=1)
