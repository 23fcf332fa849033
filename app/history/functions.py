"""The functions that turn the readings of a bucket into one number."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.history.moments import Moments
from sql.arrays import Floats

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Function:
    """One function, by its name on the wire."""

    name: str
    of: Callable[[Moments], Floats]
    needs_whole: bool = False  # more than n and sum
    quantile: float | None = None  # 0 to 1: needs every reading of the bucket, so `of` is not asked

    @property
    def mergeable(self) -> bool:
        """Whether a bucket's answer follows from those of its parts."""
        return self.quantile is None

    @classmethod
    def parse(cls, name: str) -> "Function":
        """Raises ValueError with a message that lists the functions."""
        if name == "median":
            return cls(name, _nothing, quantile=0.5)
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        match = _QUANTILE.fullmatch(name)
        if match is None:
            known = ", ".join(FUNCTIONS)
            raise ValueError(f"{name[:40]!r} is no function: send one or more of {known}, median, or p0 to p99.9")
        return cls(name, _nothing, quantile=float(match[1]) / 100)


def _nothing(moments: Moments) -> Floats:
    return np.full(len(moments), np.nan)


def _deviation(moments: Moments) -> Floats:
    """Return the sample standard deviation; it is undefined for one reading."""
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation: Floats = np.sqrt(np.where(moments.n > 1, moments.m2 / (moments.n - 1), np.nan))
    return deviation


FUNCTIONS = {
    function.name: function
    for function in (
        Function("avg", lambda moments: moments.sum / moments.n),
        Function("max", lambda moments: moments.max, needs_whole=True),
        Function("min", lambda moments: moments.min, needs_whole=True),
        Function("sum", lambda moments: moments.sum),
        Function("count", lambda moments: moments.n),
        Function("dev", _deviation, needs_whole=True),
        Function("first", lambda moments: moments.first, needs_whole=True),
        Function("last", lambda moments: moments.last, needs_whole=True),
    )
}
