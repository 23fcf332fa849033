"""GET /devices/:id/readings as clients use it: what they send, and what they get."""

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import pytest
from caller import Caller, sign_up
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readings import receive
from waiting import refresh_all

from app.config import Config
from app.history import read
from app.history.fill import MOST_BUCKETS
from sql import DictConnection, connect

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def device(app: Flask) -> dict[str, Any]:
    """A device whose readings no test changes."""
    return sign_up(app).register_device()


@pytest.fixture(scope="module", autouse=True)
def readings(device: dict[str, Any], database_url: str) -> None:
    """Sensor 55: 1, 2, 3, 4 every 20 minutes from noon, then 10 at 15:00; sensor 56: 48 at noon."""
    temperatures = [(NOON + 20 * n * MINUTE, float(n + 1)) for n in range(4)] + [(NOON + 3 * HOUR, 10.0)]
    with connect(database_url) as conn:
        receive(conn, device["id"], s55=temperatures, s56=[(NOON, 48.0)])


@pytest.fixture
def ask(anybody: Caller, device: dict[str, Any]) -> Ask:
    """Asks for the history of sensor 55 on 2026-01-15 by the hour, unless told otherwise."""

    def ask(status: int = 200, headers: dict[str, str] | None = None, **query: Any) -> Any:
        query = {"sensor_id": 55, "from": "2026-01-15", "to": "2026-01-16", "rollup": "1h", **query}
        query = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        answer = anybody.get(f"/v0/devices/{device['id']}/readings", query_string=query, headers=headers or {})
        assert answer.status_code == status, answer.text
        return answer if headers is not None else answer.json

    return ask


def test_buckets_are_answered_newest_first_at_their_starts(ask: Ask, device: dict[str, Any]) -> None:
    body = ask()

    assert body.pop("complete_as_of")
    assert body.pop("component_id") > 0
    assert body == {
        "device_id": device["id"],
        "sensor_id": 55,
        "sensor_key": "t",
        "rollup": "1h",
        "function": "avg",
        "from": "2026-01-15T00:00:00Z",
        "to": "2026-01-16T00:00:00Z",
        "columns": ["time", "avg"],
        "sample_size": 5,
        "readings": [["2026-01-15T15:00:00Z", 10.0], ["2026-01-15T13:00:00Z", 4.0], ["2026-01-15T12:00:00Z", 2.0]],
    }


def test_a_rollup_of_zero_gives_the_readings_themselves(ask: Ask) -> None:
    body = ask(rollup="0s", limit=2)

    assert body["columns"] == ["time", "value"]
    assert body["readings"] == [["2026-01-15T15:00:00Z", 10.0], ["2026-01-15T13:00:00Z", 4.0]]


@pytest.mark.parametrize(
    "noon",
    [
        "2026-01-15T12:00:00Z",
        "2026-01-15T12:00:00.000Z",
        "2026-01-15 12:00:00 00:00",  # smartcitizen-connector: the plus sign is lost in the form
        "2026-01-15 12:00:00+00:00",
        "2026-01-15 12:00:00 UTC",
        "2026-1-15 12:0:0",  # kits 1.x
        "2026-01-15T13:00:00+01:00",
        "2026-01-15 13:00:00 01:00",
        "1768478400",
        "1768478400.0",
        "1768478400000",
    ],
)
def test_a_time_is_understood_in_every_form_that_clients_send(ask: Ask, noon: str) -> None:
    assert ask(rollup="0s", from_=noon, to=noon, **{"from": None})["readings"] == [["2026-01-15T12:00:00Z", 1.0]]


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01", "2026-01-15T25:00:00Z", "0x10", "", "nan", "1e400"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_a_malformed_time_is_a_400_that_names_it(ask: Ask, name: str, wrong: str) -> None:
    body = ask(400, **{name: wrong})

    assert list(body["errors"]) == [name]
    assert repr(wrong) in body["message"]


def test_the_end_is_part_of_the_range(ask: Ask) -> None:
    assert len(ask(rollup="0s", to="2026-01-15T13:00:00Z")["readings"]) == 4
    assert len(ask(rollup="0s", to="2026-01-15T12:59:59Z")["readings"]) == 3


def test_a_range_that_ends_before_it_starts_is_a_400(ask: Ask) -> None:
    assert ask(400, to="2026-01-14")["errors"] == {"from": ["2026-01-15T00:00:00Z is after `to`, 2026-01-14T00:00:00Z"]}


@pytest.mark.parametrize(("start", "end"), [("0001-01-01", "1960-01-01"), ("2030-01-01", None), ("2300-01-01", None)])
def test_a_range_without_readings_is_an_empty_answer(ask: Ask, start: str, end: str | None) -> None:
    body = ask(to=end, **{"from": start})

    assert (body["readings"], body["sample_size"]) == ([], 0)


def test_the_beginning_of_time_is_no_error_with_any_rollup(ask: Ask) -> None:
    for rollup in ("1m", "1d", "1M", "100y", "7w"):
        assert (
            ask(rollup=rollup, tz="America/New_York", **{"from": "0001-01-01", "to": "9999-12-31"})["sample_size"] == 5
        )


def test_without_a_start_the_last_six_weeks_are_answered_or_what_relative_says(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device, now = user.register_device(), datetime.now(UTC).replace(microsecond=0)
    receive(conn, device["id"], s55=[(now - 41 * DAY, 1.0), (now - 43 * DAY, 2.0), (now - 2 * HOUR, 3.0)])

    def values(**query: Any) -> list[float]:
        return [value for _, value in anybody.history(device["id"], 55, rollup="0s", **query)]

    assert values() == [1.0, 3.0]
    assert values(relative="6h") == [3.0]
    assert values(relative="1h") == []
    assert values(relative="1d", to=(now - 41 * DAY).isoformat()) == [1.0]


def test_several_functions_are_columns_in_the_order_asked_for(ask: Ask) -> None:
    body = ask(function="max,count,avg,first,last,min,sum,dev,median,p50", rollup="1d")

    assert body["columns"] == ["time", "max", "count", "avg", "first", "last", "min", "sum", "dev", "median", "p50"]
    (row,) = body["readings"]
    assert row[1:-3] == [10.0, 5, 4.0, 1.0, 10.0, 1.0, 20.0]
    assert row[-3] == pytest.approx(12.5**0.5)
    assert row[-2:] == [3.0, 3.0]


def test_the_deviation_of_one_reading_is_null(ask: Ask) -> None:
    assert ask(function="dev")["readings"][0] == ["2026-01-15T15:00:00Z", None]


def test_several_sensors_come_as_series_in_the_order_asked_for(ask: Ask) -> None:
    body = ask(sensor_id="56,999,55", rollup="1d", function="sum")

    assert "readings" not in body
    assert [series["sensor_id"] for series in body["series"]] == [56, 999, 55]
    assert [series["readings"] for series in body["series"]] == [
        [["2026-01-15T00:00:00Z", 48.0]],
        [],
        [["2026-01-15T00:00:00Z", 20.0]],
    ]
    assert [series["component_id"] is None for series in body["series"]] == [False, True, False]


@pytest.mark.parametrize("rollup", ["15m", "1h", "1d"])
@pytest.mark.parametrize("function", ["count", "count,max"])
@pytest.mark.parametrize("rows_together", [1, read.MOST_ROWS_TOGETHER])
def test_aggregates_answer_for_each_sensor_by_itself(
    ask: Ask, conn: DictConnection, monkeypatch: pytest.MonkeyPatch, rollup: str, function: str, rows_together: int
) -> None:
    monkeypatch.setattr(read, "MOST_ROWS_TOGETHER", rows_together)
    refresh_all(conn)

    body = ask(sensor_id="55,56", rollup=rollup, function=function)

    assert [series["sample_size"] for series in body["series"]] == [5, 1]


def test_an_answer_that_ends_early_gives_its_connection_back(
    user: Caller, anybody: Caller, conn: DictConnection, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "WORTH_HALVING", 2)
    device_id = user.register_device()["id"]
    receive(conn, device_id, s55=[(NOON + n * DAY, float(n)) for n in range(8)])
    refresh_all(conn)
    week = {"rollup": "1d", "from": "2026-01-15", "to": "2026-01-23"}

    for _ in range(2 * config.pool_size):
        assert anybody.history(device_id, 55, limit=1, **week) == [["2026-01-22T00:00:00Z", 7.0]]


def test_components_are_known_by_their_keys_too_and_a_key_wins(ask: Ask) -> None:
    assert ask(sensor_key="h", sensor_id=55)["readings"] == [["2026-01-15T12:00:00Z", 48.0]]
    unknown = ask(sensor_key="no_such_key")
    assert (unknown["component_id"], unknown["sensor_key"], unknown["readings"]) == (None, "no_such_key", [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sensor_id": None}, "sensor_id"),
        ({"sensor_id": "abc"}, "sensor_id"),
        ({"sensor_id": "55,x"}, "sensor_id"),
        ({"sensor_id": "5.5"}, "sensor_id"),
        ({"sensor_id": "-1"}, "sensor_id"),
        ({"sensor_id": "9" * 5000}, "sensor_id"),
        ({"sensor_id": "٥٥"}, "sensor_id"),
        ({"rollup": None}, "rollup"),
        ({"rollup": "1"}, "rollup"),
        ({"rollup": "m"}, "rollup"),
        ({"rollup": "1D"}, "rollup"),
        ({"rollup": "-1h"}, "rollup"),
        ({"rollup": "101y"}, "rollup"),
        ({"function": "percentile"}, "function"),
        ({"function": ""}, "function"),
        ({"function": "p100"}, "function"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"fill": "zero"}, "fill"),
        ({"relative": "soon", "from": None}, "relative"),
        ({"max_gap": "1x"}, "max_gap"),
    ],
)
def test_a_wrong_parameter_is_a_400_that_names_it(ask: Ask, query: dict[str, Any], field: str) -> None:
    body = ask(400, **query)

    assert list(body["errors"]) == [field]


def test_a_quantile_over_more_than_92_days_is_a_422(ask: Ask) -> None:
    assert "92 days" in ask(422, function="median", to="2026-05-01")["errors"]["function"][0]


def test_all_intervals_gives_every_bucket_once_and_null_where_empty(ask: Ask) -> None:
    body = ask(all_intervals="true", **{"from": "2026-01-15T11:30:00Z", "to": "2026-01-15T16:00:00Z"})

    assert body["readings"] == [
        ["2026-01-15T16:00:00Z", None],
        ["2026-01-15T15:00:00Z", 10.0],
        ["2026-01-15T14:00:00Z", None],
        ["2026-01-15T13:00:00Z", 4.0],
        ["2026-01-15T12:00:00Z", 2.0],
        ["2026-01-15T11:00:00Z", None],
    ]


def test_below_ten_minutes_all_intervals_pads_nothing(ask: Ask) -> None:
    assert len(ask(all_intervals="true", rollup="599s")["readings"]) == 5
    assert len(ask(all_intervals="true", rollup="10m")["readings"]) == 145


def test_gaps_are_filled_as_asked_and_only_short_ones(ask: Ask) -> None:
    window = {"from": "2026-01-15T11:00:00Z", "to": "2026-01-15T17:00:00Z", "rollup": "1h"}

    def filled(**query: Any) -> list[Any]:
        return [value for _, value in reversed(ask(**window, **query)["readings"])]

    assert filled(fill="null") == [None, 2.0, 4.0, None, 10.0, None, None]
    assert filled(fill="locf") == [None, 2.0, 4.0, 4.0, 10.0, 10.0, 10.0]
    assert filled(fill="linear") == [None, 2.0, 4.0, 7.0, 10.0, None, None]
    assert filled(fill="locf", max_gap="1h") == [None, 2.0, 4.0, 4.0, 10.0, 10.0, None]
    assert filled(fill="linear", max_gap="1h") == [None, 2.0, 4.0, None, 10.0, None, None]


def test_between_two_counts_lies_a_fraction(ask: Ask) -> None:
    window = {"from": "2026-01-15T12:00:00Z", "to": "2026-01-15T15:00:00Z", "rollup": "90m"}

    body = ask(function="count", fill="linear", **window)

    assert [value for _, value in body["readings"]] == [1, 2.5, 4]


@pytest.mark.parametrize("query", [{"all_intervals": "true"}, {"fill": "locf"}, {"fill": "linear"}])
def test_where_there_is_no_reading_every_bucket_is_empty_however_it_is_filled(ask: Ask, query: dict[str, str]) -> None:
    body = ask(rollup="1h", **{"from": "2026-01-10T00:00:00Z", "to": "2026-01-10T01:00:00Z"}, **query)

    assert body["readings"] == [["2026-01-10T01:00:00Z", None], ["2026-01-10T00:00:00Z", None]]


def test_the_coverage_of_no_bucket_is_none(ask: Ask) -> None:
    window = {"from": "2026-01-10T00:00:00Z", "to": "2026-01-10T01:00:00Z"}

    assert ask(rollup="1h", coverage="true", **window)["readings"] == []


@pytest.mark.parametrize(
    ("rollup", "query", "fits"), [("1m", {"fill": "locf"}, "6h"), ("10m", {"all_intervals": "true"}, "6h")]
)
def test_too_many_empty_buckets_are_a_422_that_names_the_rollup_which_fits(
    ask: Ask, rollup: str, query: dict[str, str], fits: str
) -> None:
    window = {"from": "2001-01-01", "to": "2026-01-16"}

    (reason,) = ask(422, rollup=rollup, **window, **query)["errors"]["rollup"]

    assert f"{MOST_BUCKETS:,}" in reason
    assert reason.endswith(f"rollup={fits} fits")
    assert len(ask(rollup=fits, **window, **query)["readings"]) <= MOST_BUCKETS


def test_25_years_at_a_minute_hold_only_the_buckets_that_there_are(ask: Ask) -> None:
    assert len(ask(rollup="1m", **{"from": "2001-01-01 00:00:00 00:00"})["readings"]) == 5


def test_coverage_counts_what_is_there_and_what_the_components_own_interval_lets_expect(ask: Ask) -> None:
    body = ask(coverage="true", all_intervals="true", **{"from": "2026-01-15T12:00:00Z", "to": "2026-01-15T15:20:00Z"})

    assert body["columns"] == ["time", "avg", "n", "expected"]
    assert [row[2:] for row in reversed(body["readings"])] == [[3, 3], [1, 3], [0, 3], [1, 1]]


def test_raw_gives_what_the_device_sent(user: Caller, anybody: Caller, conn: DictConnection) -> None:
    device = user.register_device()
    receive(conn, device["id"], s55=[(NOON, 20.0)])
    conn.execute("UPDATE datapoints SET value = 30 WHERE device_id = %s", [device["id"]])
    day = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1h"}

    assert anybody.history(device["id"], 55, **day) == [["2026-01-15T12:00:00Z", 30.0]]
    assert anybody.history(device["id"], 55, raw="", **day) == [["2026-01-15T12:00:00Z", 20.0]]


def test_days_and_dates_are_those_of_the_zone(user: Caller, anybody: Caller, conn: DictConnection) -> None:
    """Madrid, 29 March 2026: 23 hours long, from 23:00 UTC the day before."""
    device = user.register_device()
    start = datetime(2026, 3, 28, 22, tzinfo=UTC)
    receive(conn, device["id"], s55=[(start + n * HOUR, 1.0) for n in range(26)])
    where = {"rollup": "1d", "function": "count", "tz": "Europe/Madrid"}

    assert anybody.history(device["id"], 55, **{"from": "2026-03-29", "to": "2026-03-29 23:59"}, **where) == [
        ["2026-03-28T23:00:00Z", 23]
    ]
    local = anybody.history(device["id"], 55, localtimes="1", **{"from": "2026-03-28", "to": "2026-03-30"}, **where)
    assert local == [
        ["2026-03-28T00:00:00+01:00", 1],
        ["2026-03-29T00:00:00+01:00", 23],
        ["2026-03-30T00:00:00+02:00", 1],
    ]


def test_a_fraction_of_a_second_is_kept_where_readings_are_that_close(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    times = [NOON + timedelta(milliseconds=250 * n) for n in range(4)]
    receive(conn, device["id"], s55=[(time, float(n)) for n, time in enumerate(times)])
    day = {"from": "2026-01-15", "to": "2026-01-16"}

    assert anybody.history(device["id"], 55, rollup="500ms", function="sum", **day) == [
        ["2026-01-15T12:00:00Z", 1.0],
        ["2026-01-15T12:00:00.500000Z", 5.0],
    ]


def test_a_value_whose_square_is_beyond_a_double_stops_nobodys_refresh(
    user: Caller, anybody: Caller, conn: DictConnection
) -> None:
    device = user.register_device()
    receive(conn, device["id"], s55=[(NOON, 1.7e308), (NOON + MINUTE, 1.7e308), (NOON + 2 * MINUTE, 2.0)])
    day = {"from": "2026-01-15", "to": "2026-01-16", "function": "sum"}
    before = anybody.history(device["id"], 55, rollup="1h", **day)
    refresh_all(conn)

    assert before == anybody.history(device["id"], 55, rollup="1h", **day) == [["2026-01-15T12:00:00Z", 2.0]]
    assert len(anybody.history(device["id"], 55, rollup="0s", **day)) == 3


# Parameters as they might come: each from right and wrong values alike, in any combination.
_WORDS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "-1", "true", "55", "t", "0s", "1h", "7d", "1M", "100y", "999999999ms", "avg", "p99"]
    ),
    st.sampled_from(["null", "locf", "linear", "2026-01-15", "1768478400", "1e300", "-62135596801", "9" * 400]),
    st.sampled_from(["0001-01-01", "9999-12-31T23:59:59.999999Z", "2026-01-15 12:00:00 99:99", "Europe/Madrid", "UTC"]),
    st.sampled_from(sorted(available_timezones())),
    st.text(max_size=20),
)
_NAMES = {
    *("sensor_id", "sensor_key", "rollup", "function", "from", "to", "relative", "tz", "localtimes", "raw", "limit"),
    *("all_intervals", "fill", "max_gap", "coverage"),
}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.dictionaries(st.sampled_from(sorted(_NAMES)), _WORDS), usual=st.booleans())
def test_whatever_is_asked_the_answer_is_no_error_of_ours(
    anybody: Caller, device: dict[str, Any], query: dict[str, str], usual: bool
) -> None:
    query = {"sensor_id": "55,56", "rollup": "1h", **query} if usual else query

    answer = anybody.get(f"/v0/devices/{device['id']}/readings", query_string=query)

    assert answer.status_code in (200, 400, 422), answer.text
    assert answer.json  # to its last byte


def test_a_long_answer_is_streamed_in_the_memory_of_a_short_one(
    anybody: Caller, user: Caller, conn: DictConnection
) -> None:
    device_id = user.register_device()["id"]
    end = datetime(2025, 6, 1, tzinfo=UTC)
    receive(conn, device_id, s55=[(end, 0.0)])
    conn.execute(
        "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) "
        "SELECT %s, 55, t, 1, 1 FROM generate_series(%s, %s, INTERVAL '40 seconds') AS t ON CONFLICT DO NOTHING",
        [device_id, end - timedelta(weeks=6), end],
    )
    conn.execute("UPDATE devices SET first_reading_at = %s WHERE id = %s", [end - timedelta(weeks=6), device_id])

    def peak_bytes(weeks: int) -> int:
        start = end - timedelta(weeks=weeks)
        query = {"sensor_id": 55, "rollup": "0s", "from": start.isoformat(), "to": end.isoformat()}
        tracemalloc.start()
        answer = anybody.get(f"/v0/devices/{device_id}/readings", query_string=query, buffered=False)
        sent = sum(map(len, answer.response))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sent > weeks * 15_000 * 20
        return peak

    peak_bytes(1)
    assert peak_bytes(6) < 1.3 * peak_bytes(2)
