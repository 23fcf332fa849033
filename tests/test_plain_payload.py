"""The fast reader of JSON payloads says what the thorough one says, or nothing."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ingestor.payload import Readings, parse_each
from ingestor.plain import parse_plain

odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["55", "1e3", "nan"])
)
item = st.fixed_dictionaries({"id": st.integers(-2, 300) | odd, "value": st.floats(-100, 100) | odd}) | odd
when = st.sampled_from(["2026-01-15T08:30:00Z", "2026-01-15 8:30:00", "2026-01-15", "1768465800", "", "soon"]) | odd
reading = st.fixed_dictionaries({"recorded_at": when, "sensors": st.lists(item, max_size=4) | odd}) | odd
message = st.fixed_dictionaries({"data": st.lists(reading, max_size=3) | odd}, optional={"id": odd, "more": odd})


def check(payload: bytes) -> None:
    plain = parse_plain(payload)
    if plain is None:
        return
    each, receipt_id = parse_each(payload)
    said = [
        [(sensor, reading.time, raw) for sensor, raw in zip(reading.sensor_ids, reading.raws, strict=True)]
        for reading in plain.readings
    ]
    assert each == [Readings(points, []) for points in said]  # type: ignore[arg-type]
    assert plain.receipt_id == receipt_id


@given(message)
@example({"data": [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 10**400}]}]})
def test_whatever_it_reads_the_thorough_reader_reads_too(body: Any) -> None:
    check(json.dumps(body).encode())


@given(st.binary())
@example(b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":55,"value":1e999}]}]}')
def test_no_bytes_make_it_fail(payload: bytes) -> None:
    check(payload)


def test_an_ordinary_message_is_read() -> None:
    body = {
        "data": [
            {"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 21.4}, {"id": 56, "value": None}]}
        ]
    }

    plain = parse_plain(json.dumps(body).encode())

    assert plain is not None
    assert [(reading.sensor_ids, reading.raws) for reading in plain.readings] == [([55], [21.4])]
