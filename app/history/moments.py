"""Columns that say everything about groups of readings, and how smaller groups become larger ones. Pure, numpy."""

from dataclasses import dataclass, fields, replace

import numpy as np

from ingestor.columns import first_of_each
from sql.arrays import Floats, Times


@dataclass(frozen=True, slots=True)
class Moments:
    """Groups of readings, newest first; no group is empty and none reaches into another.

    m2 is the sum of squared deviations from the group's mean.
    """

    time: Times  # microseconds since 1970 UTC: the group's start
    n: Floats
    sum: Floats
    m2: Floats
    min: Floats
    max: Floats
    first: Floats
    last: Floats

    @classmethod
    def of_readings(cls, time: Times, value: Floats) -> "Moments":
        """Each reading is a group of its own."""
        one, zero = np.ones_like(value), np.zeros_like(value)
        return cls(time, one, value, zero, value, value, value, value)

    @classmethod
    def of_groups(cls, time: Times, n: Floats, **columns: Floats) -> "Moments":
        """Groups of which some columns are known; n stands for the others, at which no function looks."""
        return cls(time, n, **dict.fromkeys(("sum", "m2", "min", "max", "first", "last"), n) | columns)

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, part: slice) -> "Moments":
        return Moments(*(getattr(self, field.name)[part] for field in fields(self)))

    def between(self, start_us: int, end_us: int) -> "Moments":
        """Return the groups that start in [start, end)."""
        newer, older = np.searchsorted(-self.time, (-end_us, -start_us), side="right")
        return self[newer:older]

    @staticmethod
    def concatenate(newer: "Moments", older: "Moments") -> "Moments":
        pairs = ((getattr(newer, field.name), getattr(older, field.name)) for field in fields(Moments))
        return Moments(*(np.concatenate(pair) for pair in pairs))

    def grouped(self, keys: Times) -> "Moments":
        """Merge neighbours of equal key; a merged group's time is its key.

        Chan, Golub, LeVeque (1979): the m2 of a union is the parts' m2 and the squares of their means' distances from
        the common mean, each times n. The mean is taken first: sums of squares would lose small spreads.
        """
        begins = np.flatnonzero(first_of_each(keys))
        if len(begins) == len(self):
            return replace(self, time=keys)
        lengths = np.diff(np.append(begins, len(keys)))
        n = np.add.reduceat(self.n, begins)
        total = np.add.reduceat(self.sum, begins)
        distance = self.sum / self.n - np.repeat(total / n, lengths)
        return Moments(
            time=keys[begins],
            n=n,
            sum=total,
            m2=np.add.reduceat(self.m2 + self.n * distance * distance, begins),
            min=np.minimum.reduceat(self.min, begins),
            max=np.maximum.reduceat(self.max, begins),
            first=self.first[begins + lengths - 1],  # newest first: the oldest stands last
            last=self.last[begins],
        )


def quantiles(keys: Times, values: Floats, quantile: float) -> Floats:
    """Return the quantile (0 to 1, linear between ranks as numpy's) of each run of equal keys."""
    order = np.lexsort((values, -keys))
    ranked = values[order]
    begins = np.flatnonzero(first_of_each(keys))
    lengths = np.diff(np.append(begins, len(keys)))
    rank = quantile * (lengths - 1)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, lengths - 1)
    low, high = ranked[begins + below], ranked[begins + above]
    interpolated: Floats = low + (high - low) * (rank - below)
    return interpolated
