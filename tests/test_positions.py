"""Positions in the order of commits, against every history of transactions that hypothesis thinks of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.live.position import Position, Snapshot

FIRST = 700  # xid
Histories = st.lists(st.integers(1, 30), min_size=1, max_size=12)  # how long each transaction takes; one begins a tick


def snapshot_at(durations: list[int], tick: int) -> Snapshot:
    """What PostgreSQL's would be after so many ticks."""
    begun = range(min(tick, len(durations)))
    running = frozenset(FIRST + number for number in begun if number + durations[number] >= tick)
    xmax = FIRST + len(begun)
    return Snapshot(min(running, default=xmax), xmax, running)


def seen_by(snapshot: Snapshot) -> set[int]:
    return {xid for xid in range(FIRST, FIRST + 15) if snapshot.sees(xid)}


@given(Histories, st.integers(1, 20), st.integers(0, 20), st.integers(0, 14))
def test_whoever_takes_transactions_in_order_has_seen_just_those(
    durations: list[int], tick: int, later: int, number: int
) -> None:
    before, now = snapshot_at(durations, tick), snapshot_at(durations, tick + later)
    xid = FIRST + number
    if not now.sees(xid):
        return

    after = before.through(xid, now)

    assert seen_by(after) == seen_by(before) | {other for other in seen_by(now) if other <= xid}


@given(Histories, st.integers(1, 30), st.integers(1, 30))
def test_two_snapshots_together_see_what_either_sees(durations: list[int], one: int, other: int) -> None:
    first, second = snapshot_at(durations, one), snapshot_at(durations, other)

    assert seen_by(first | second) == seen_by(first) | seen_by(second)
    assert first.covers(second) == (seen_by(first) >= seen_by(second))


@given(Histories, st.integers(1, 30), st.dictionaries(st.integers(1, 2**60), st.integers(1, 10**9), max_size=3))
def test_a_position_is_read_as_it_is_written(durations: list[int], tick: int, partly: dict[int, int]) -> None:
    position = Position(snapshot_at(durations, tick), partly)

    assert Position.parse(str(position)) == position


def test_a_transaction_that_is_half_seen_stays_so_until_all_of_it_has_been() -> None:
    position = Position.parse("700:705:703/703.40")
    assert (position.lacks(703, 40), position.lacks(703, 41), position.lacks(704, 9)) == (False, True, False)

    position = position.after(Snapshot.parse("705:707:"), 707, 5)
    assert str(position) == "707:707:/707.5"


@pytest.mark.parametrize(
    "text", ["", "1", "0:1:", "2:1:", "5:9:4", "5:9:9", "1:2:3x", "1:2:/3", "1:2:/3.", "٣:٤:", "9" * 5000]
)
def test_what_is_no_position_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|too long"):
        Position.parse(text)
