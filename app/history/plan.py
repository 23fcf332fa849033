"""Where to read a range from: the coarsest aggregate that gives the exact answer, raw datapoints for the rest. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from app.history.rollup import Rollup
from sql.arrays import Times

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


class Source(NamedTuple):
    """A table of datapoints or of their aggregates."""

    name: str
    width_us: int  # of its buckets
    window_us: int  # the longest range to read at once: some 20,000 buckets, some 10,000 readings of a kit


RAW = Source("raw", 1, 7 * DAY_US)
AGGREGATES = (
    Source("1d", DAY_US, 50 * 365 * DAY_US),
    Source("1h", 3600 * SECOND_US, 800 * DAY_US),
    Source("15m", 900 * SECOND_US, 200 * DAY_US),
)
_READINGS_APART_US = 10 * SECOND_US  # where we must guess how many there are: kits send once a minute, some more often


@dataclass(frozen=True, slots=True)
class Segment:
    """A range to read from one source: start <= time < end, in microseconds."""

    source: Source
    start_us: int
    end_us: int

    @property
    def rows(self) -> int:
        """About how many rows of a component it holds, at most."""
        return (self.end_us - self.start_us) // max(self.source.width_us, _READINGS_APART_US) + 1

    def holds(self, other: "Segment") -> bool:
        """Whether another one is a part of this."""
        return other.source is self.source and self.start_us <= other.start_us and other.end_us <= self.end_us


def coarsest_source(rollup: Rollup, edges: Times | None) -> Source:
    """Return the source with the largest buckets that never straddle an edge; `edges` where their distance varies."""
    step = rollup.step_us
    for source in AGGREGATES:
        if step is not None:
            if step > 0 and step % source.width_us == 0:
                return source
        elif edges is not None and not (edges % source.width_us).any():
            return source
    return RAW


def plan(source: Source, start_us: int, end_us: int, refreshed_us: int, dirty_days: Iterable[int]) -> list[Segment]:
    """Cover [start, end) with segments, newest first.

    Buckets of the source that reach beyond the range or beyond `refreshed_us`, up to where aggregates are complete, and
    days (counted from 1970 UTC) written since they were last refreshed, are read from the raw datapoints.
    """
    inner_start = -(-start_us // source.width_us) * source.width_us
    inner_end = min(end_us, refreshed_us) // source.width_us * source.width_us
    if source is RAW or inner_start >= inner_end:
        return _windows(Segment(RAW, start_us, end_us))
    runs = [Segment(RAW, inner_end, end_us)]
    position = inner_end
    for day in sorted(dirty_days, reverse=True):
        dirty_start, dirty_end = max(day * DAY_US, inner_start), min((day + 1) * DAY_US, position)
        if dirty_start < dirty_end:
            runs += [Segment(source, dirty_end, position), Segment(RAW, dirty_start, dirty_end)]
            position = dirty_start
    runs += [Segment(source, inner_start, position), Segment(RAW, start_us, inner_start)]
    return [window for run in _joined(runs) for window in _windows(run)]


def cut(segments: Iterable[Segment], at_us: int) -> Iterator[Segment]:
    """Make two of the segment that reaches over a moment."""
    for segment in segments:
        if segment.start_us < at_us < segment.end_us:
            yield Segment(segment.source, at_us, segment.end_us)
            yield Segment(segment.source, segment.start_us, at_us)
        else:
            yield segment


def _joined(runs: Iterable[Segment]) -> Iterator[Segment]:
    """Drop empty segments and join neighbours of one source."""
    last: Segment | None = None
    for run in runs:
        if run.start_us >= run.end_us:
            continue
        if last is not None and last.source is run.source:
            last = Segment(last.source, run.start_us, last.end_us)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _windows(run: Segment) -> list[Segment]:
    """Cut a segment into pieces that fit in memory, newest first."""
    windows, end_us, width = [], run.end_us, run.source.window_us
    while end_us > run.start_us:
        start_us = max((end_us - 1) // width * width, run.start_us)
        windows.append(Segment(run.source, start_us, end_us))
        end_us = start_us
    return windows
