"""Archives: every period once, each again when it changes, no version ever lost."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from exporting import change, fetch, store
from meanwhile import meanwhile

from app.exports.make import Made
from app.exports.storage import Storage
from app.jobs import archives, exports
from sql import DictConnection, Row, queries

Work = Callable[[], None]
START = datetime(2025, 1, 20, tzinfo=UTC)
TEMPERATURE = 55


@pytest.fixture
def device(user: Caller, conn: DictConnection) -> dict[str, Any]:
    """A device that measured from 20 January to 10 March 2025, but for February."""
    device = user.register_device()
    days = [START + timedelta(days=day) for day in range(50)]
    store(conn, device["id"], TEMPERATURE, [(day, 1.0, float(day.day)) for day in days if day.month != 2])
    conn.execute("CALL refresh_rollups()")  # moves the horizon: what is written below it from now on is late
    return device


def publish(user: Caller, work: Work, **what: Any) -> int:
    made = user.post("/v0/archives", what)
    assert made.status_code == 201, made.text
    work()
    return int(made.json["id"])


def publish_again(conn: DictConnection, work: Work) -> None:
    """What an hour later brings."""
    conn.execute("UPDATE archives SET due_at = now()")
    archives.watch()
    work()


def files(user: Caller, archive_id: int) -> list[dict[str, Any]]:
    return list(user.get(f"/v0/archives/{archive_id}/manifest").json["files"])


def editions(user: Caller, archive_id: int) -> list[tuple[str, int, str, bool]]:
    return [(file["from"][:10], file["version"], file["reason"], file["newest"]) for file in files(user, archive_id)]


def test_each_month_that_has_readings_is_published_once(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month")
    publish_again(conn, work)

    assert editions(user, archive_id) == [("2025-01-01", 1, "first", True), ("2025-03-01", 1, "first", True)]
    january, _ = (gzip.decompress(fetch(user, file["download_url"])).decode() for file in files(user, archive_id))
    assert january.count("\n") == 12 + 1
    assert january.splitlines()[1].startswith("2025-01-20T00:00:00+00:00,")


def test_a_day_is_the_days_of_its_zone(user: Caller, work: Work, conn: DictConnection) -> None:
    device = user.register_device()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    store(conn, device["id"], TEMPERATURE, [(midnight, 1.0, 20.0)])
    archive_id = publish(user, work, device_id=device["id"], period="day", tz="America/Lima")

    (only,) = files(user, archive_id)
    text = gzip.decompress(fetch(user, only["download_url"])).decode()
    day_before, day = (f"{midnight + timedelta(days=days):%Y-%m-%d}" for days in (-1, 0))
    assert (only["from"], only["to"]) == (f"{day_before}T05:00:00Z", f"{day}T05:00:00Z")
    assert only["filename"] == f"almanac-archive-{archive_id}-{day_before}-v1.csv.gz"
    assert text.splitlines()[1:] == [f"{day_before}T19:00:00-05:00,20"]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_corrected_month_comes_again_as_version_2_and_version_1_stays(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], file_format: str
) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month", format=file_format)
    before = files(user, archive_id)
    change(conn, device["id"], TEMPERATURE, START, 99.0)
    publish_again(conn, work)
    publish_again(conn, work)

    assert editions(user, archive_id) == [
        ("2025-01-01", 2, "changed", True),
        ("2025-01-01", 1, "first", False),
        ("2025-03-01", 1, "first", True),
    ]
    second, first, _ = files(user, archive_id)
    about = json.loads(fetch(user, second["metadata_url"]))
    assert (about["version"], about["reason"], about["replaces_sha256"]) == (2, "changed", first["sha256"])
    assert first["sha256"] == before[0]["sha256"]
    assert fetch(user, first["download_url"]) == fetch(user, before[0]["download_url"])


def test_readings_that_come_late_into_an_empty_month_publish_it(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month")
    change(conn, device["id"], TEMPERATURE, datetime(2025, 2, 14, tzinfo=UTC), 7.0)
    publish_again(conn, work)

    assert [edition[:3] for edition in editions(user, archive_id)] == [
        ("2025-01-01", 1, "first"),
        ("2025-02-01", 1, "first"),
        ("2025-03-01", 1, "first"),
    ]


def test_a_recalibration_is_named_as_such(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month")
    calibration = conn.execute(
        "INSERT INTO calibrations (sensor_id, device_id, valid_from, equation) "
        "VALUES (%s, %s, %s, '2 * raw') RETURNING id",
        (TEMPERATURE, device["id"], START),
    ).fetchone()
    assert calibration is not None
    change(conn, device["id"], TEMPERATURE, START, 2.0, calibration["id"])
    publish_again(conn, work)

    assert editions(user, archive_id)[0] == ("2025-01-01", 2, "recalibrated", True)
    assert files(user, archive_id)[0]["calibration_ids"] == [calibration["id"]]


def test_a_write_that_changes_nothing_publishes_nothing(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month")
    change(conn, device["id"], TEMPERATURE, START, 99.0)
    change(conn, device["id"], TEMPERATURE, START, float(START.day))
    publish_again(conn, work)

    assert len(editions(user, archive_id)) == 2


def test_a_month_is_published_when_it_has_ended_whatever_is_written_into_it_before(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    change(conn, device["id"], TEMPERATURE, datetime.now(UTC) - timedelta(seconds=2), 20.0)
    archive_id = publish(user, work, device_id=device["id"], period="month")
    change(conn, device["id"], TEMPERATURE, datetime.now(UTC) - timedelta(seconds=1), 21.0)
    publish_again(conn, work)

    assert [edition[0] for edition in editions(user, archive_id)] == ["2025-01-01", "2025-03-01"]


def test_a_correction_that_was_under_way_while_an_archive_was_looked_at_comes_with_the_next_look(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month")
    change(conn, device["id"], TEMPERATURE, START, 99.0)
    conn.execute("UPDATE archive_changes SET changed_at = changed_at - INTERVAL '9 min'")  # its commit took so long
    publish_again(conn, work)

    assert editions(user, archive_id)[0] == ("2025-01-01", 2, "changed", True)


def test_a_correction_that_one_of_two_archives_could_not_publish_is_published_the_next_time(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space() -> None:
        raise OSError("no space left on device")

    both = [publish(user, work, device_id=device["id"], period="month") for _ in range(2)]
    conn.execute("UPDATE archives SET changes_seen_until = now() - INTERVAL '2 hours'")
    change(conn, device["id"], TEMPERATURE, START, 99.0)
    conn.execute("UPDATE archive_changes SET changed_at = now() - INTERVAL '1 hour'")
    meanwhile(monkeypatch, Storage, "put", no_space)
    publish_again(conn, work)
    errors = [user.get(f"/v0/archives/{archive_id}").json["error"] for archive_id in both]
    publish_again(conn, work)

    assert sorted(errors, key=str) == [None, "an error of ours (OSError); it has been logged, and is tried again"]
    for archive_id in both:
        assert editions(user, archive_id)[0] == ("2025-01-01", 2, "changed", True)
        assert user.get(f"/v0/archives/{archive_id}").json["error"] is None


def test_who_publishes_for_hours_period_by_period_is_not_taken_for_dead(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, others = archives.make, list[Row | None]()

    def slow(*arguments: Any) -> Made:
        conn.execute("UPDATE archives SET due_at = due_at - INTERVAL '50 min'")
        others.append(queries.claim_archive(conn, id=archive_id, lease_s=3600))
        return make(*arguments)

    monkeypatch.setattr(archives, "make", slow)
    archive_id = user.post("/v0/archives", {"device_id": device["id"], "period": "month"}).json["id"]
    work()

    assert len(others) > 2
    assert set(others) == {None}
    assert len(editions(user, archive_id)) == 2


def test_an_experiment_is_archived_with_all_its_devices(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    other = user.register_device(name="Roof")
    store(conn, other["id"], TEMPERATURE, [(START, 1.0, 5.0)])
    experiment = user.post("/v0/experiments", {"name": "Heat", "device_ids": [device["id"], other["id"]]}).json
    archive_id = publish(user, work, experiment_id=experiment["id"], period="month")

    text = gzip.decompress(fetch(user, files(user, archive_id)[0]["download_url"])).decode()
    assert text.splitlines()[-1] == f"2025-01-20T00:00:00+00:00,{other['id']},Roof,5"


def test_a_deleted_archive_leaves_no_file(user: Caller, anybody: Caller, work: Work, device: dict[str, Any]) -> None:
    archive_id = publish(user, work, device_id=device["id"], period="month")
    url = files(user, archive_id)[0]["download_url"]
    assert user.delete(f"/v0/archives/{archive_id}").status_code == 204
    exports.purge()

    assert user.get(f"/v0/archives/{archive_id}").status_code == 404
    assert anybody.get(url).status_code == 404


@pytest.mark.parametrize("what", ["archive", "experiment"])
def test_an_archive_deleted_while_it_is_published_ends_quietly(
    user: Caller,
    work: Work,
    device: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    experiment_id = user.post("/v0/experiments", {"name": "Heat", "device_ids": [device["id"]]}).json["id"]
    asked = {"experiment_id": experiment_id, "period": "month"}
    archive_id = user.post("/v0/archives", asked).json["id"]
    doomed = {"archive": f"/v0/archives/{archive_id}", "experiment": f"/v0/experiments/{experiment_id}"}[what]
    step = {"archive": "make", "experiment": "_devices"}[what]
    meant, statuses = getattr(archives, step), list[int]()

    def late(*arguments: Any) -> Any:
        statuses.append(user.delete(doomed).status_code)
        return meant(*arguments)

    monkeypatch.setattr(archives, step, late)
    work()

    assert statuses in ([204], [200])
    assert user.get(f"/v0/archives/{archive_id}").status_code == 404
    assert [record.message for record in caplog.records if record.name == archives.log.name] == []


def test_a_device_that_turned_private_is_published_no_more(
    user: Caller, new_user: Callable[..., Caller], work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    other = new_user()
    archive_id = publish(other, work, device_id=device["id"], period="month")
    conn.execute("UPDATE devices SET is_private = true WHERE id = %s", [device["id"]])
    change(conn, device["id"], TEMPERATURE, START, 99.0)
    publish_again(conn, work)

    assert len(files(other, archive_id)) == 2
    assert other.get(f"/v0/archives/{archive_id}").json["error"] == "there is no device left that you may read"


def test_archives_are_listed_to_their_owner_the_newest_first(
    user: Caller, new_user: Callable[..., Caller], work: Work
) -> None:
    device_id = user.register_device()["id"]
    ours = [publish(user, work, device_id=device_id, period="month") for _ in range(3)]
    publish(new_user(), work, device_id=device_id, period="month")

    listed = user.get("/v0/archives?per_page=2")

    assert [archive["id"] for archive in listed.json] == ours[:0:-1]
    assert listed.headers["Total"] == "3"
