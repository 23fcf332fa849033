"""History equals a brute-force reference: whatever is written, in whatever order, and whatever has been refreshed."""

import itertools
import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from unittest.mock import patch
from zoneinfo import ZoneInfo

import history_reference as reference
import pytest
from caller import Caller
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.history import read
from ingestor.intake import Message
from ingestor.stopping import Stopping
from ingestor.store import Store
from sql import DictConnection

SENSOR = 55
ZONES = ["UTC", "Europe/Madrid", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"]
# 90 days each: over Madrid's and Lord Howe's clock changes of autumn and of spring, and up to this moment.
STARTS = [datetime(2025, 9, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), None]
DAYS = 90
ROLLUPS = ["1s", "7m", "15m", "45m", "337s", "1h", "7h", "12h", "1d", "2d", "1w", "1M", "3M", "1y", "1500ms"]


class Kit(NamedTuple):
    device_id: int
    token: str


Write = Callable[[Kit, dict[datetime, float]], None]


@pytest.fixture
def new_kit(user: Caller) -> Callable[[], Kit]:
    def register() -> Kit:
        device = user.register_device()
        return Kit(device["id"], device["device_token"])

    return register


@pytest.fixture
def write(database_url: str) -> Iterator[Write]:
    """Writes readings as the ingestor does, as one message."""
    store = Store(database_url, Stopping(), patience_s=5)

    def put(kit: Kit, readings: dict[datetime, float]) -> None:
        data = [
            {"recorded_at": time.isoformat(), "sensors": [{"id": SENSOR, "value": value}]}
            for time, value in readings.items()
        ]
        payload = json.dumps({"data": data}).encode()
        assert store.put([Message(f"device/sck/{kit.token}/readings", payload)]) is not None

    yield put
    store.close()


def refresh(conn: DictConnection) -> None:
    conn.execute("CALL refresh_rollups()")


def ask(caller: Caller, kit: Kit, **query: Any) -> list[list[Any]]:
    """Return one component's rows, newest first."""
    answer = caller.get(f"/v0/devices/{kit.device_id}/readings", query_string={"sensor_id": SENSOR, **query})
    assert answer.status_code == 200, answer.text
    return answer.json["readings"]


def utc(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"


class Scene(NamedTuple):
    """Batches of readings with what happens between them, and the questions asked after each."""

    batches: list[dict[datetime, float]]
    refreshes: list[int]  # after each batch, so many
    questions: list[tuple[str, str, datetime, datetime]]  # rollup, zone, from, to


# What a sensor says: two decimals, either sign; and large values with a small spread.
VALUES = st.one_of(
    st.integers(-4_000, 10_000).map(lambda value: value / 100), st.integers(0, 999).map(lambda value: 1e6 + value / 1e3)
)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    start = draw(st.sampled_from(STARTS)) or datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)
    # Readings come in clusters, so that buckets hold several, and more of them around the changes of the clocks.
    middles = draw(st.lists(st.integers(0, DAYS * 24), min_size=1, max_size=5))
    middles += [24 * 55, 24 * 34]  # the days of Madrid's and of Lord Howe's autumn change in the first 90 days
    offsets = st.one_of(st.integers(-4000, 4000), st.integers(-20, 20))
    times = st.builds(
        lambda hour, minute, second: min(
            start + timedelta(hours=hour, minutes=minute, seconds=second), datetime.now(UTC).replace(microsecond=0)
        ),
        st.sampled_from(middles),
        offsets,
        st.sampled_from([0, 0, 0, 1, 59]),
    )
    batches = draw(st.lists(st.dictionaries(times, VALUES, min_size=1, max_size=25), min_size=1, max_size=4))
    refreshes = draw(st.lists(st.integers(0, 4), min_size=len(batches), max_size=len(batches)))
    edge = st.one_of(times, st.integers(-1, DAYS).map(lambda day: start + timedelta(days=day)))
    question = st.tuples(st.sampled_from(ROLLUPS), st.sampled_from(ZONES), edge, edge)
    questions = draw(st.lists(question, min_size=1, max_size=4))
    return Scene(batches, refreshes, [(rollup, zone, min(a, b), max(a, b)) for rollup, zone, a, b in questions])


# No shrinking: what an example finds also depends on what those before it left to refresh.
GENERATED = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# Long series are read in halves, and piece by piece where more is late than memory should hold: here short ones too.
@settings(GENERATED, max_examples=60)
@given(
    scene=scenes(),
    halved_from=st.sampled_from([2, read.WORTH_HALVING]),
    rows_together=st.sampled_from([10_000, read.MOST_ROWS_TOGETHER]),
)
def test_every_bucket_of_every_function_equals_the_reference(
    anybody: Caller,
    new_kit: Callable[[], Kit],
    write: Write,
    conn: DictConnection,
    scene: Scene,
    halved_from: int,
    rows_together: int,
) -> None:
    kit, readings = new_kit(), {}
    for batch, refreshes in zip(scene.batches, scene.refreshes, strict=True):
        write(kit, batch)
        readings.update(batch)
        for _ in range(refreshes):
            refresh(conn)
        with patch.multiple(read, WORTH_HALVING=halved_from, MOST_ROWS_TOGETHER=rows_together):
            for rollup, zone, start, end in scene.questions:
                check(anybody, kit, readings, rollup, zone, start, end)


def check(
    caller: Caller,
    kit: Kit,
    readings: dict[datetime, float],
    rollup: str,
    zone: str,
    start: datetime,
    end: datetime,
) -> None:
    digits = "".join(itertools.takewhile(str.isdigit, rollup))
    expected = reference.buckets(readings, start, end, int(digits), rollup.removeprefix(digits), ZoneInfo(zone))
    names = list(reference.FUNCTIONS)[:8]  # the last two are answered from raw readings: asked for by themselves
    for functions in (names, names[8:] or ["median", "p90"]):
        rows = ask(
            caller, kit, rollup=rollup, tz=zone, function=",".join(functions), **{"from": utc(start), "to": utc(end)}
        )

        assert [parsed(row[0]) for row in rows] == sorted(expected, reverse=True)
        for row in rows:
            values = expected[parsed(row[0])]
            for name, answer in zip(functions, row[1:], strict=True):
                agree(name, answer, values)


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def agree(name: str, answer: float | None, values: list[float]) -> None:
    expected = reference.FUNCTIONS[name](values)
    if expected is None or answer is None:
        assert answer is expected, name
        return
    # relative to what was summed up, not to what is left where readings of either sign cancel each other
    scale = math.fsum(map(abs, values)) if name == "sum" else max(map(abs, values))
    assert abs(answer - expected) <= 1e-9 * max(scale, 1e-300), (name, answer, expected)


@settings(GENERATED, max_examples=15)
@given(
    spread=st.lists(st.integers(0, 1000), min_size=30, max_size=200),
    rollup=st.sampled_from(["10m", "1h", "1d"]),
    refreshed=st.booleans(),
)
def test_dev_keeps_its_digits_where_values_are_large_and_their_spread_is_small(
    anybody: Caller,
    new_kit: Callable[[], Kit],
    write: Write,
    conn: DictConnection,
    spread: list[int],
    rollup: str,
    refreshed: bool,
) -> None:
    kit, start = new_kit(), datetime(2026, 3, 28, tzinfo=UTC)
    readings = {start + timedelta(minutes=7 * n): 1e6 + value * 1e-6 for n, value in enumerate(spread)}
    write(kit, readings)
    for _ in range(3 if refreshed else 0):
        refresh(conn)

    rows = ask(anybody, kit, rollup=rollup, function="dev", **{"from": utc(start), "to": "2026-03-30"})

    digits, unit = int(rollup[:-1]), rollup[-1]
    end = datetime(2026, 3, 30, tzinfo=UTC)
    expected = reference.buckets(readings, start, end, digits, unit, ZoneInfo("UTC"))
    assert len(rows) == len(expected)
    for text, answer in rows:
        deviation = reference.FUNCTIONS["dev"](expected[parsed(text)])
        # the values themselves are only known to 1e-10, a ten-millionth of their spread
        assert (answer is None) == (deviation is None)
        assert answer is None or abs(answer - deviation) <= 1e-6 * 1e-3
