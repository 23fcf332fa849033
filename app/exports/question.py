"""What an export is to hold. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.history.functions import FUNCTIONS, Function
from app.history.rollup import Duration, Rollup
from ingestor.times import to_us

LAYOUTS, FORMATS, VALUES = ("wide", "long"), ("csv", "parquet"), ("value", "raw", "both")


@dataclass(frozen=True, slots=True)
class Question:
    """Readings of some components with start <= time < end (microseconds; None: unbounded), and how to write them."""

    start_us: int | None
    end_us: int | None
    sensors: Sequence[int | str]  # sensor ids and component keys; empty: all
    rollup: Rollup | None  # None: readings as they are
    functions: Sequence[Function]
    zone: ZoneInfo
    layout: str
    format: str
    values: str

    @classmethod
    def of(cls, asked: dict[str, Any]) -> "Question":
        """Read what range_json and question_json wrote."""
        zone = ZoneInfo(asked["tz"])
        start, end = ((asked[name] and to_us(datetime.fromisoformat(asked[name]))) for name in ("from", "to"))
        return cls(
            start,
            None if end is None else end + 1,  # `to` is inclusive, as it is for history
            asked["sensors"],
            Rollup(Duration.parse(asked["rollup"]), zone) if asked["rollup"] else None,
            [Function.parse(name) for name in asked["function"].split(",")] if asked["rollup"] else [FUNCTIONS["last"]],
            zone,
            asked["layout"],
            asked["format"],
            asked["values"],
        )

    @property
    def sides(self) -> list[bool]:
        """Whether to read raw values: no, yes, or both."""
        return {"value": [False], "raw": [True], "both": [False, True]}[self.values]

    @property
    def kinds(self) -> list[str]:
        """Which numbers each component gives: `value`, `raw`, or of buckets `avg`, `avg raw`, …"""
        return [kind for raw in self.sides for kind in self.kinds_of(raw)]

    def kinds_of(self, raw: bool) -> list[str]:
        """Those of one side."""
        if self.rollup is None:
            return ["raw" if raw else "value"]
        return [f"{function.name} raw" if raw else function.name for function in self.functions]


def question_json(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of schemas.exports.FileChoices as tables keep them; Question.of reads them with a range."""
    return {
        "sensors": fields["sensors"],
        "rollup": fields["rollup"] and str(fields["rollup"]),
        "function": ",".join(function.name for function in fields["function"]),
        "tz": str(fields["tz"]),
        **{name: fields[name] for name in ("layout", "format", "values")},
    }


def range_json(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the range of NewExport likewise."""
    return {"from": fields["start"] and fields["start"].isoformat(), "to": fields["end"] and fields["end"].isoformat()}
