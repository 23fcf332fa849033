"""Make a file and what goes with it, for exports and archives alike."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple

from app.config import Config
from app.exports.build import build
from app.exports.columns import Component, Device, chosen, wide_columns
from app.exports.metadata import metadata
from app.exports.question import Question
from sql import Pool, Row, queries
from sql.replicas import Replicas

_REPLICA_PATIENCE_S = 30.0  # a file takes its time anyway


class NothingError(Exception):
    """None of the devices has a component that was asked for."""


class Made(NamedTuple):
    """A file that is written, and its metadata.json."""

    rows: int
    bytes: int
    sha256: str
    calibration_ids: list[int]  # the versions that made its values
    metadata: dict[str, Any]


def make(
    config: Config,
    pool: Pool,
    asked: dict[str, Any],
    devices: Sequence[Row],
    filename: str,
    file: BinaryIO,
    progress: Callable[[float], None],
) -> Made:
    """Write an open file; `asked` is what question_json wrote, `devices` are rows of exportable_devices.

    `progress` is told the share that is done, 0 to 1, and may stop it all by an exception. Raises NothingError.
    """
    question = Question.of(asked)
    complete_as_of = datetime.now(UTC)
    with pool.connection() as conn:
        rows = queries.exportable_components(conn, device_ids=[device["id"] for device in devices])
    components = chosen([Component.of(row) for row in rows], question)
    if not components:
        raise NothingError("none of these devices has a component that was asked for")
    columns = wide_columns(components, question)
    with closing(Replicas(pool, config.database_read_url, max_size=1)) as replicas:
        built = build(
            replicas.source(patience_s=_REPLICA_PATIENCE_S).pool,
            question,
            [Device(device["id"], device["name"]) for device in devices],
            components,
            columns,
            file,
            progress,
        )
    with pool.connection() as conn:
        ids = sorted(set().union(*built.calibration_ids.values()))
        calibrations = {row["id"]: row for row in queries.calibrations_by_ids(conn, ids=ids)}
    size = file.tell()
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    about = {
        "file": {"name": filename, "rows": built.rows, "bytes": size, "sha256": sha256},
        "query": asked,
        "complete_as_of": complete_as_of,
        "licence": config.data_licence,
        "source": config.public_url,
        **metadata(question, devices, components, columns, built.calibration_ids, calibrations),
    }
    return Made(built.rows, size, sha256, ids, about)
