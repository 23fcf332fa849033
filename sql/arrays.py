"""Whole columns between PostgreSQL and numpy, without a Python object for each value.

Register on a connection, ask for binary results, and `array_agg(…)` of int4, float8 or timestamptz arrives as an
ndarray; ndarrays go the other way as parameters. Times are int64 microseconds since 1970-01-01 UTC.
Layout: PostgreSQL's array_send and array_recv, src/backend/utils/adt/arrayfuncs.c. Nulls are not supported.
What is sent as the bytes of its values alone, `floats_sent` and `times_sent` read.
"""

import struct
from typing import Any

import numpy as np
from psycopg.abc import AdaptContext, Buffer, DumperKey
from psycopg.adapt import Dumper, Loader, PyFormat
from psycopg.pq import Format

_HEADER = struct.Struct("!iiIii")  # dimensions, has nulls, element type, length, lower bound
_FLOATS, _INTEGERS, _TIMES = 1022, 1007, 1185  # types of float8[], int4[], timestamptz[]: pg_type.dat
POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01

Times = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def floats_sent(values: bytes) -> Floats:
    """Return what `string_agg(float8send(…), '')` gave."""
    return np.frombuffer(values, ">f8").astype(np.float64)


def times_sent(values: bytes) -> Times:
    """Return what `string_agg(timestamptz_send(…), '')` gave."""
    return np.frombuffer(values, ">i8") + POSTGRES_EPOCH_US


class _ArrayLoader(Loader):
    format = Format.BINARY
    element: np.dtype[Any]

    def load(self, data: Buffer) -> np.ndarray[Any, Any]:
        items = np.frombuffer(data, np.dtype([("size", ">i4"), ("value", self.element)]), offset=min(len(data), 20))
        return items["value"].astype(self.element.newbyteorder("="))


class _FloatsLoader(_ArrayLoader):
    element = np.dtype(">f8")


class _IntegersLoader(_ArrayLoader):
    element = np.dtype(">i4")


class _TimesLoader(_ArrayLoader):
    element = np.dtype(">i8")

    def load(self, data: Buffer) -> np.ndarray[Any, Any]:
        return super().load(data) + POSTGRES_EPOCH_US


class _ArrayDumper(Dumper):
    """Choose the dumper for an ndarray by its element type."""

    format = Format.BINARY

    def get_key(self, obj: np.ndarray[Any, Any], format: PyFormat) -> DumperKey:  # noqa: A002
        return (self.cls, obj.dtype.type)

    def upgrade(self, obj: np.ndarray[Any, Any], format: PyFormat) -> Dumper:  # noqa: A002
        return _DUMPERS[obj.dtype.type](self.cls)

    def dump(self, obj: np.ndarray[Any, Any]) -> bytes:
        raise NotImplementedError  # upgrade() gives one that can


class _ElementsDumper(Dumper):
    format = Format.BINARY
    element: np.dtype[Any]
    element_oid: int

    def dump(self, obj: np.ndarray[Any, Any]) -> bytes:
        items = np.empty(len(obj), np.dtype([("size", ">i4"), ("value", self.element)]))
        items["size"], items["value"] = self.element.itemsize, obj
        return _HEADER.pack(1, 0, self.element_oid, len(obj), 1) + items.tobytes()


class _FloatsDumper(_ElementsDumper):
    oid, element_oid, element = _FLOATS, 701, np.dtype(">f8")


class _IntegersDumper(_ElementsDumper):
    oid, element_oid, element = _INTEGERS, 23, np.dtype(">i4")


class _TimesDumper(_ElementsDumper):
    oid, element_oid, element = _TIMES, 1184, np.dtype(">i8")

    def dump(self, obj: np.ndarray[Any, Any]) -> bytes:
        return super().dump(obj - POSTGRES_EPOCH_US)


_DUMPERS = {np.float64: _FloatsDumper, np.int32: _IntegersDumper, np.int64: _TimesDumper}


def register(context: AdaptContext) -> None:
    """Let a connection speak ndarrays."""
    context.adapters.register_loader(_FLOATS, _FloatsLoader)
    context.adapters.register_loader(_INTEGERS, _IntegersLoader)
    context.adapters.register_loader(_TIMES, _TimesLoader)
    context.adapters.register_dumper(np.ndarray, _ArrayDumper)
