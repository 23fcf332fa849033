"""How far a listener has come. Pure.

A position is a PostgreSQL snapshot, which says of every transaction whether it has been seen, and how much has been
seen of the one that a listener is in the middle of.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

_FORM = re.compile(r"(\d{1,19}):(\d{1,19}):((?:\d{1,19},)*\d{1,19})?", re.ASCII)
_PART_FORM = re.compile(r"(\d{1,19})\.(\d{1,10})", re.ASCII)
_LONGEST = 4000  # servers take headers of 8 KB


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Transactions below `xmin` have ended, those from `xmax` on have not begun, of the others those in `xip` run."""

    xmin: int
    xmax: int
    xip: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what PostgreSQL writes. Raises ValueError."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is no snapshot")
        xmin, xmax = int(match[1]), int(match[2])
        xip = frozenset(map(int, match[3].split(","))) if match[3] else frozenset()
        if not 0 < xmin <= xmax < 2**63 or any(not xmin <= xid < xmax for xid in xip):
            raise ValueError(f"{text[:40]!r} is no snapshot")
        return cls(xmin, xmax, xip)

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.xip)))}"

    def sees(self, xid: int) -> bool:
        return xid < self.xmin or (xid < self.xmax and xid not in self.xip)

    def through(self, xid: int, now: "Snapshot") -> "Snapshot":
        """Return what has been seen after this and every transaction up to `xid` that a later snapshot sees."""
        xmax = max(self.xmax, xid + 1)
        running = {other for other in self.xip if other > xid or not now.sees(other)}
        running |= {other for other in now.xip if self.xmax <= other <= xid}
        return Snapshot(min(running, default=xmax), xmax, frozenset(running))

    def __or__(self, other: "Snapshot") -> "Snapshot":
        """Return what either of them sees."""
        xmax = max(self.xmax, other.xmax)
        running = {xid for xid in self.xip | other.xip if not self.sees(xid) and not other.sees(xid)}
        return Snapshot(min(running, default=xmax), xmax, frozenset(running))

    def covers(self, other: "Snapshot") -> bool:
        """Whether this sees all that the other one sees."""
        return not any(map(other.sees, self.xip)) and not any(map(other.sees, range(self.xmax, other.xmax)))


@dataclass(frozen=True, slots=True)
class Position:
    """All that a snapshot sees, and of some more transactions, by xid, so many of their first datapoints."""

    snapshot: Snapshot
    partly: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the id of an event. Raises ValueError."""
        if len(text) > _LONGEST:
            raise ValueError("too long")
        first, *rest = text.split("/")
        parts = [_PART_FORM.fullmatch(part) for part in rest]
        if None in parts:
            raise ValueError(f"{text[:40]!r} is no position")
        return cls(Snapshot.parse(first), {int(part[1]): int(part[2]) for part in parts if part})

    def __str__(self) -> str:
        return "/".join((str(self.snapshot), *(f"{xid}.{done}" for xid, done in self.partly.items())))

    def after(self, snapshot: Snapshot, xid: int = 0, done: int = 0) -> "Position":
        """Return the position of who has also seen all of a snapshot, and the first `done` datapoints of `xid`."""
        snapshot |= self.snapshot
        partly = {**self.partly, **({xid: done} if done else {})}
        return Position(snapshot, {other: seen for other, seen in partly.items() if not snapshot.sees(other)})

    def lacks(self, xid: int, end: int) -> bool:
        """Whether of a transaction the datapoint before `end` has not been seen."""
        return not self.snapshot.sees(xid) and self.partly.get(xid, 0) < end
