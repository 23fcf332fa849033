"""How exports write times."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from app.exports.stamps import stamps

MICROSECONDS = 1_000_000


def second(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


# A turn at an hour, at half an hour, at 00:01, over a whole day, and four a year.
@pytest.mark.parametrize(
    "name", ["Europe/Madrid", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Africa/Casablanca", "UTC"]
)
def test_times_are_as_the_clock_of_their_zone_shows_them(name: str) -> None:
    zone = ZoneInfo(name)
    seconds = np.arange(second(2011, 1, 1), second(2013, 1, 1), 607)

    assert stamps(seconds * MICROSECONDS, zone) == [
        datetime.fromtimestamp(each, zone).isoformat().encode() for each in seconds.tolist()
    ]


def test_a_clock_turns_at_its_second() -> None:
    turn = second(2011, 3, 13, 3, 31)  # 00:01 in Newfoundland
    times = np.array([turn - 1, turn]) * MICROSECONDS

    assert stamps(times, ZoneInfo("America/St_Johns")) == [b"2011-03-13T00:00:59-03:30", b"2011-03-13T01:01:00-02:30"]
