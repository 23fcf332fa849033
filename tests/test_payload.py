"""What devices send, read into readings: the grammar of the kits, the JSON of the others, and everything else."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.loose_json import parse_object
from ingestor.payload import Readings, Reason, parse_each, parse_raw
from ingestor.topics import Kind, parse_topic

TIME = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
EXAMPLE = b"{t:2026-01-15T08:30:00Z,55:21.4,56:48,10:97}"

times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=0)
)
ids = st.integers(1, 9999)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def read_json(payload: bytes) -> Readings:
    """Return what the readings of a payload say, together."""
    parts, _ = parse_each(payload)
    return Readings(
        [point for part in parts for point in part.datapoints], [flaw for part in parts for flaw in part.flaws]
    )


def test_the_raw_example_is_read() -> None:
    datapoints, flaws = parse_raw(EXAMPLE)

    assert (datapoints, flaws) == ([(55, TIME, 21.4), (56, TIME, 48.0), (10, TIME, 97.0)], [])


@pytest.mark.parametrize(
    "payload",
    [
        b"  {t:2026-01-15T08:30:00Z,55:21.4}\n",
        b"{ 55 : 21.4, t :2026-01-15T08:30:00Z , }",
        b"{t:2026-01-15T08:30:00Z 55:21.4 56:null}",
        b"{t:2025-01-01T00:00:00Z,55:21.4,t:2026-01-15T08:30:00Z}",
    ],
    ids=["blanks around it", "time last, blanks, a comma too many", "no commas, null dropped", "the last time wins"],
)
def test_what_the_grammar_allows_is_read(payload: bytes) -> None:
    assert parse_raw(payload) == ([(55, TIME, 21.4)], [])


@given(times, st.dictionaries(ids, numbers))
def test_any_numbers_of_any_sensors_are_read_back_from_a_raw_payload(time: datetime, values: dict[int, float]) -> None:
    pairs = "".join(f",{sensor}:{value!r}" for sensor, value in values.items())

    datapoints, flaws = parse_raw(f"{{t:{iso(time)}{pairs}}}".encode())

    assert (datapoints, flaws) == ([(sensor, time, value) for sensor, value in values.items()], [])


@given(times, st.dictionaries(ids | st.text(), numbers))
def test_any_numbers_of_any_sensors_are_read_back_from_json(time: datetime, values: dict[int | str, float]) -> None:
    sensors = [{"id": sensor, "value": value} for sensor, value in values.items()]
    payload = json.dumps({"data": [{"recorded_at": iso(time), "sensors": sensors}]}).encode()

    datapoints, flaws = read_json(payload)

    assert (datapoints, flaws) == ([(sensor, time, value) for sensor, value in values.items()], [])


@pytest.mark.parametrize("read", [read_json, parse_raw])
@given(payload=st.binary() | st.text().map(str.encode) | st.text("{}t:,.-0123456789Z \n").map(str.encode))
def test_no_bytes_make_the_reader_fail(read: Callable[[bytes], Readings], payload: bytes) -> None:
    datapoints, flaws = read(payload)

    assert all(math.isfinite(point.raw) for point in datapoints)
    assert all(flaw.detail for flaw in flaws)


@pytest.mark.parametrize("printed", ["nan", "inf", "-inf", "ovf", "1e999"])
def test_a_value_that_is_no_number_costs_none_of_its_neighbours(printed: str) -> None:
    datapoints, flaws = parse_raw(EXAMPLE.replace(b"48", printed.encode()))

    assert [point.sensor for point in datapoints] == [55, 10]
    assert [(flaw.reason, json.loads(flaw.item)["sensors"]) for flaw in flaws] == [
        (Reason.NOT_A_NUMBER, [{"id": 56, "value": printed}])
    ]


def test_nan_as_c_prints_it_costs_none_of_its_neighbours_in_json() -> None:
    payload = (
        b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":55,"value":NaN},{"id":56,"value":48}]}]}'
    )

    datapoints, flaws = read_json(payload)

    assert (datapoints, [flaw.reason for flaw in flaws]) == ([(56, TIME, 48.0)], [Reason.NOT_A_NUMBER])


def test_a_flaw_can_be_read_again_as_the_reading_it_was() -> None:
    _, (flaw,) = parse_raw(EXAMPLE.replace(b"48", b"ovf"))

    mended = b'{"data":[' + flaw.item.replace(b'"ovf"', b"48") + b"]}"

    assert read_json(mended) == ([(56, TIME, 48.0)], [])


def test_a_time_that_swallowed_the_values_is_kept_aside() -> None:
    datapoints, flaws = parse_raw(b"{t:2026-01-15T08:30:00Z;55=21.4}")

    assert (datapoints, [flaw.reason for flaw in flaws]) == ([], [Reason.IMPOSSIBLE_TIME])


@pytest.mark.parametrize("value", ["21.4", 21.4, " 21.4 "])
def test_a_number_may_come_as_text(value: object) -> None:
    payload = json.dumps({"data": [{"recorded_at": iso(TIME), "sensors": [{"id": "55", "value": value}]}]}).encode()

    assert read_json(payload).datapoints == [("55", TIME, 21.4)]


@pytest.mark.parametrize("value", [True, "1_0", "", [], {}, "0x1f"])
def test_what_python_alone_takes_for_a_number_is_none(value: object) -> None:
    payload = json.dumps({"data": [{"recorded_at": iso(TIME), "sensors": [{"id": 55, "value": value}]}]}).encode()

    datapoints, flaws = read_json(payload)

    assert (datapoints, [flaw.reason for flaw in flaws]) == ([], [Reason.NOT_A_NUMBER])


@pytest.mark.parametrize(
    ("recorded_at", "reason"),
    [
        (None, Reason.NO_TIME),
        ("", Reason.NO_TIME),
        ([], Reason.NO_TIME),
        ("yesterday", Reason.IMPOSSIBLE_TIME),
        ("2026-13-01", Reason.IMPOSSIBLE_TIME),
    ],
)
def test_a_reading_without_a_time_costs_none_of_its_neighbours(recorded_at: object, reason: Reason) -> None:
    sensors = [{"id": 55, "value": 21.4}]
    data = [{"recorded_at": recorded_at, "sensors": sensors}, {"recorded_at": iso(TIME), "sensors": sensors}]

    datapoints, flaws = read_json(json.dumps({"data": data}).encode())

    assert (datapoints, [flaw.reason for flaw in flaws]) == ([(55, TIME, 21.4)], [reason])


@pytest.mark.parametrize(
    ("read", "payload", "expected"),
    [
        (read_json, b"nonsense", "no JSON"),
        (read_json, b"[]", '"data"'),
        (read_json, b"{}", '"data"'),
        (read_json, b'{"data":{"recorded_at":"2026-01-15T08:30:00Z","sensors":[]}}', '"data"'),
        (read_json, b'{"data":[7]}', "a list of sensors"),
        (read_json, b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z"}]}', "a list of sensors"),
        (read_json, b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":{"id":55}}]}', "a list of sensors"),
        (read_json, b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[7]}]}', "a sensor's id"),
        (read_json, b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"value":1}]}]}', "a sensor's id"),
        (
            read_json,
            b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":true,"value":1}]}]}',
            "sensor's id",
        ),
        (
            read_json,
            b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":5.5,"value":1}]}]}',
            "sensor's id",
        ),
        (parse_raw, b"t:2026-01-15T08:30:00Z,55:21.4}", "{t:TIME"),
        (parse_raw, b"{t:2026-01-15T08:30:00Z,55:21.4", "{t:TIME"),
        (parse_raw, b"{t:2026-01-15T08:30:00Z,t1:21.4}", "ID:VALUE at byte 25"),
    ],
)
def test_what_has_another_shape_is_kept_aside_with_what_was_expected(
    read: Callable[[bytes], Readings], payload: bytes, expected: str
) -> None:
    datapoints, (flaw,) = read(payload)

    assert (datapoints, flaw.reason) == ([], Reason.UNREADABLE)
    assert expected in flaw.detail


def test_a_kit_that_has_measured_nothing_says_nothing_and_values_without_a_time_are_kept_aside() -> None:
    _, (flaw,) = parse_raw(b"{55:21.4}")

    assert parse_raw(b"{}") == ([], [])
    assert (flaw.reason, flaw.item) == (Reason.NO_TIME, b"{55:21.4}")


@pytest.mark.parametrize(
    ("payload", "receipt"),
    [
        (b'{"id":7,"data":[]}', 7),
        (b'{"id":"a","data":7}', "a"),
        (b'{"id":true,"data":[]}', None),
        (b'{"id":[],"data":[]}', None),
        (b'{"data":[]}', None),
        (b"[]", None),
    ],
)
def test_whoever_gives_a_message_a_number_or_a_word_gets_a_receipt(payload: bytes, receipt: str | int | None) -> None:
    assert parse_each(payload)[1] == receipt


def test_nesting_deeper_than_the_reader_goes_is_unreadable() -> None:
    payload = b'{"data":' + b"[" * 100_000

    assert [flaw.reason for flaw in read_json(payload).flaws] == [Reason.UNREADABLE]


@pytest.mark.parametrize("kind", ["readings", "readings/raw", "info", "hello"])
@pytest.mark.parametrize("token", ["a1b2c3", "raw", "info", "readings", "inventory", "hello"])
def test_a_token_is_found_by_its_position_whatever_it_says(kind: str, token: str) -> None:
    topic = parse_topic(f"device/sck/{token}/{kind}")

    assert topic == (Kind(kind), token, f"device/sck/+/{kind}")


@pytest.mark.parametrize(
    "topic", ["device/sck/a/b/readings", "device/sck//readings", "device/sck/a/raw", "a/readings", ""]
)
def test_other_topics_are_not_ours(topic: str) -> None:
    assert parse_topic(topic) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"[1]",
        b"7",
        b"{",
        b"\xff",
        b"",
        b'{"a":{"b\\ud800":1}}',
        b'{"a":["\\u0000"]}',
        b'{"a":1e400}',
        b'{"a":%s}' % (b"9" * 400),
        b'{"a":%s}' % (b"[" * 64 + b"]" * 64),
    ],
)
def test_what_is_no_json_object_or_none_that_can_be_kept_is_none(payload: bytes) -> None:
    assert parse_object(payload) is None


def test_what_looks_like_a_nul_or_is_as_large_as_a_double_is_kept() -> None:
    said = {"a": ["\\u0000", 1e308, -(2**70)], "b": None, "c": True}

    assert parse_object(json.dumps(said).encode()) == said


def test_a_sensors_id_of_thousands_of_digits_is_unreadable() -> None:
    datapoints, (flaw,) = parse_raw(b"{t:2026-01-15T08:30:00Z,%s:1}" % (b"5" * 5000))

    assert (datapoints, flaw.reason) == ([], Reason.UNREADABLE)
