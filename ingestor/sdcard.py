"""Read the CSV files that kits write to their SD cards. Pure.

TIME,TEMP,HUM,BATT           short names
ISO 8601,ºC,%,%              units
Time,Temperature,Humidity,…  titles
,55,56,10                    sensor ids
2026-01-15T08:30:00Z,21.40,48.10,97
"""

import csv
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from ingestor.payload import Flaw, Readings, Reason, parse_reading

_HEADER_LINES = 4
_NOTHING = ("", "null", "none")


class Line(NamedTuple):
    number: int  # in the file, from 1
    readings: Readings


def parse_sd_card(file: TextIO) -> Iterator[Line]:
    """Return what each line after the header says, as it is read.

    Raises ValueError, before the first line, for a header that names no sensors.
    """
    rows = csv.reader(file)
    header = [row for _, row in zip(range(_HEADER_LINES), rows, strict=False)]
    sensors = [cell.strip() for cell in header[-1]] if len(header) == _HEADER_LINES else []
    if len(sensors) < 2 or sensors[0] or not all(cell.isascii() and cell.isdecimal() for cell in sensors[1:] if cell):
        raise ValueError("line 4 must hold the sensors' ids after an empty first cell, as in ,55,56,10")
    return _lines(rows, sensors[1:])


def _lines(rows: Iterator[list[str]], sensors: list[str]) -> Iterator[Line]:
    number = _HEADER_LINES
    while True:
        number += 1
        try:
            row = next(rows, None)
        except csv.Error as error:  # a NUL, or a field beyond all measure
            yield Line(number, Readings([], [Flaw(b"", Reason.UNREADABLE, str(error))]))
            continue
        if row is None:
            return
        if len(row) > len(sensors) + 1:
            detail = f"{len(row)} cells where the header has {len(sensors) + 1}"
            yield Line(number, Readings([], [Flaw(",".join(row).encode(), Reason.UNREADABLE, detail)]))
        elif row:
            values = [
                {"id": sensor, "value": cell.strip()}
                for sensor, cell in zip(sensors, row[1:], strict=False)
                if sensor and cell.strip().lower() not in _NOTHING
            ]
            if values:
                yield Line(number, parse_reading({"recorded_at": row[0].strip(), "sensors": values}))
