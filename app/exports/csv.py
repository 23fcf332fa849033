"""Write CSV, gzipped: RFC 4180 in UTF-8 with line feeds, each number in the fewest digits that give it back exactly.

Numbers are written by orjson, whole slices at once, and compressed by a thread while the next slice is read.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from app.exports.columns import Column, Component, Device
from app.exports.question import Question
from app.exports.read import Matrix
from app.exports.stamps import stamps
from sql.arrays import Times

_LEVEL = 1  # a third of the time of level 6, and a file a fifth larger
_BLOCK = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


def cell(text: str | None) -> str:
    """Return a text as a cell, quoted where it must be, and never a formula.

    Spreadsheets calculate what begins with = + - @ tab or return, even in quotes; an apostrophe before it stops them
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    text = text or ""
    if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        text = "'" + text
    if any(character in text for character in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text


class CsvFile:
    """A file that is being written; leave its `with` block to complete it."""

    def __init__(self, file: BinaryIO, question: Question, columns: Sequence[Column], several: bool) -> None:
        self.rows = 0
        self._file = file
        self._zone: ZoneInfo = question.zone
        self._several = several
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self._rest = b""
        if question.layout == "wide":
            names = ["time", *(["device_id", "device"] if several else []), *(column.title for column in columns)]
        else:
            names = ["time", "device_id", "device", "sensor_id", "sensor", "measurement", "unit", *question.kinds]
        self._put(",".join(cell(name) for name in names).encode())

    def __enter__(self) -> "CsvFile":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._put(b"\n")
            self._wait()
            self._file.write(self._gzip.compress(self._rest) + self._gzip.flush())
        self._thread.shutdown()

    def write(self, device: Device, component: Component | None, times: Times, values: Matrix) -> None:
        """Append rows; `component`: the one they are of, in the long layout."""
        fixed = ""
        if component is not None:
            texts = (component.sensor, component.measurement, component.unit)
            fixed = f",{device.id},{cell(device.name)},{component.sensor_id},{','.join(map(cell, texts))}"
        elif self._several:
            fixed = f",{device.id},{cell(device.name)}"
        lines: list[bytes] = [b""] * (2 * len(times))
        lines[::2] = stamps(times, self._zone, before=b"\n", after=f"{fixed},".encode())
        lines[1::2] = _numbers(values)
        self._put(b"".join(lines))
        self.rows += len(times)

    def _put(self, text: bytes) -> None:
        self._wait()
        self._pending = self._thread.submit(self._compress, text)

    def _compress(self, text: bytes) -> None:
        """Compress in blocks of one size, so that the same data give the same file, whatever the size of the slices."""
        text = self._rest + text
        whole = len(text) // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            self._file.write(self._gzip.compress(text[start : start + _BLOCK]))
        self._rest = text[whole:]

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


def _numbers(values: Matrix) -> list[bytes]:
    """Return each row's numbers with commas between them; nothing for NaN, and 21 for 21.0."""
    json = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    text = json.replace(b"null", b"").replace(b".0,", b",").replace(b".0]", b"]")
    return text[2:-2].split(b"],[")
