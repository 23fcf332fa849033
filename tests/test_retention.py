"""How long datapoints are kept: dropped when they are older, refused when they come, still there as aggregates."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from click.testing import CliRunner, Result
from conftest import RunningBroker
from kits import publish
from waiting import refresh_all, wait_for

from app.cli import almanac
from app.jobs.purges import purge_expired
from sql import DictConnection, queries

DAYS = 20 * 365  # what other tests store is younger
OLD = b"{t:2003-02-03T04:05:00Z,55:21.4}"
YEAR = {"from": "2003-01-01", "to": "2003-12-31"}


def retention(database_url: str, *arguments: str) -> Result:
    return CliRunner().invoke(almanac, ["retention", *arguments], env={"DATABASE_URL": database_url})


@pytest.fixture
def kept_forever_after(conn: DictConnection) -> Iterator[None]:
    yield
    queries.keep_datapoints_for(conn, days=None)


def test_datapoints_are_kept_forever_unless_somebody_says_otherwise(database_url: str) -> None:
    assert retention(database_url).output == "datapoints are kept forever\n"


@pytest.mark.parametrize("days", ["0", "-1", "a year", "36501"])
def test_an_age_that_is_none_is_refused(database_url: str, days: str) -> None:
    answer = retention(database_url, "--", days)

    assert answer.exit_code == 2
    assert f"'{days}' is neither `forever` nor a number from 1 to 36500" in answer.output


@pytest.mark.usefixtures("kept_forever_after", "ingestor")
def test_an_old_reading_goes_its_bucket_stays_and_another_as_old_is_refused(
    user: Caller, broker: RunningBroker, conn: DictConnection, database_url: str
) -> None:
    device = user.register_device()
    publish(broker, device["device_token"], "readings/raw", OLD)
    wait_for(lambda: user.history(device["id"], 55, rollup="0s", **YEAR))
    conn.execute("CALL refresh_rollups()")
    assert conn.execute("SELECT FROM rollup_dirty WHERE device_id = %s", [device["id"]]).fetchall() == []

    path = f"/v0/devices/{device['id']}/readings?sensor_id=55&rollup=0s&from=2003-01-01&to=2003-12-31"
    etag = user.get(path).headers["ETag"]
    assert retention(database_url, str(DAYS)).output == f"datapoints are kept for {DAYS} days\n"
    job = "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"
    (policy,) = conn.execute(job).fetchall()
    conn.execute("CALL run_job(%s)", [policy["job_id"]])
    publish(broker, device["device_token"], "readings/raw", OLD.replace(b"04:05", b"04:06"))
    wait_for(
        lambda: conn.execute(
            "SELECT FROM quarantine WHERE device_id = %s AND reason = 'impossible_time'", [device["id"]]
        ).fetchall()
    )
    conn.execute("CALL refresh_rollups()")

    gone = user.get(path, headers={"If-None-Match": etag})
    assert (gone.status_code, gone.json["readings"]) == (200, [])
    assert user.history(device["id"], 55, rollup="1d", **YEAR) == [["2003-02-03T00:00:00Z", 21.4]]


def bucket_counts(user: Caller, device: dict[str, Any]) -> dict[str, float]:
    return {
        time[:10]: n for time, n in user.history(device["id"], 55, rollup="1d", function="count", **{"from": "2003"})
    }


def test_an_owners_old_datapoints_go_with_their_buckets_and_nobody_elses_do(
    new_user: Callable[..., Caller], conn: DictConnection, database_url: str, worker_env: dict[str, str]
) -> None:
    brief, other = new_user(), new_user()
    old, recent = "2003-02-03", (datetime.now(UTC) - timedelta(days=9)).strftime("%Y-%m-%d")
    devices = {owner.user["username"]: owner.register_device() for owner in (brief, other)}
    for owner in (brief, other):
        device = devices[owner.user["username"]]
        for day in (old, recent):
            sensors = [{"id": 55, "value": 21.4}]
            body = {"data": [{"recorded_at": f"{day}T04:05:00Z", "sensors": sensors}]}
            assert owner.post(f"/v0/devices/{device['id']}/readings", body).json["stored"] == 1
    refresh_all(conn)
    name = brief.user["username"]
    path = f"/v0/devices/{devices[name]['id']}/readings?sensor_id=55&rollup=1d&from=2003-01-01&to=2003-12-31"
    etag = brief.get(path).headers["ETag"]

    assert retention(database_url, "30", "--owner", name).output == f"datapoints of {name} are kept for 30 days\n"
    purge_expired()

    assert bucket_counts(brief, devices[name]) == {recent: 1}
    assert bucket_counts(other, devices[other.user["username"]]) == {old: 1, recent: 1}
    assert brief.get(path, headers={"If-None-Match": etag}).status_code == 200
    # A late reading of somebody else's, of that day: what is computed again is right for both.
    body = {"data": [{"recorded_at": f"{old}T05:00:00Z", "sensors": [{"id": 55, "value": 1}]}]}
    other.post(f"/v0/devices/{devices[other.user['username']]['id']}/readings", body)
    refresh_all(conn)
    assert bucket_counts(brief, devices[name]) == {recent: 1}
    assert bucket_counts(other, devices[other.user["username"]]) == {old: 2, recent: 1}

    assert retention(database_url, "forever", "--owner", name).output == "datapoints are kept forever\n"
    assert "there is no user 'nobody-of-that-name'" in retention(database_url, "--owner", "nobody-of-that-name").output
