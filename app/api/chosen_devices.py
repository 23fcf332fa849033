"""Which devices a request means that names them by ids, by an experiment, or by filters as of the list of devices."""

from collections.abc import Iterator
from typing import Any

from app.api.devices_query import DEVICES, restrictions
from app.api.experiments import find_experiment
from app.errors import invalid, not_found
from app.policy import is_admin, viewer
from app.schemas.exports import MOST_DEVICES
from sql import DictConnection, queries
from sql.selecting import select_ids

_EVERYWHERE = {"with_tags": None, "near": None, "within": 0.0, "bbox": None}


def chosen_devices(conn: DictConnection, fields: dict[str, Any]) -> list[int]:
    """Return the ids, of devices that the asking user may read.

    Answers 404 for a device or experiment that is not there for them, 422 for filters that are wrong or find nothing.
    An experiment that has a beginning and an end gives them to a request that has none.
    """
    if fields["q"] is not None:
        return _filtered(conn, fields["q"])
    if fields["experiment_id"] is not None:
        experiment = find_experiment(conn, fields["experiment_id"])
        for name, of_experiment in (("start", "starts_at"), ("end", "ends_at")):
            fields[name] = fields[name] or experiment[of_experiment]
        if not len(experiment["device_ids"]):
            invalid(422, experiment_id=f"experiment {experiment['id']} has no device that you may read")
        return [int(device_id) for device_id in experiment["device_ids"]]
    device_ids: list[int] = list(dict.fromkeys(fields["device_ids"]))
    found = {row["id"] for row in queries.exportable_devices(conn, ids=device_ids, **viewer())}
    for device_id in device_ids:
        if device_id not in found:
            not_found("device", device_id)
    return device_ids


def _filtered(conn: DictConnection, q: dict[str, Any]) -> list[int]:
    try:
        filters = DEVICES.read(_pairs(q), admin=is_admin())
    except ValueError as error:
        invalid(422, q=str(error))
    where = {**restrictions(_EVERYWHERE), **viewer()}
    ids, total = select_ids(
        conn, "devices_listed", where, filters.condition, filters.order, limit=MOST_DEVICES, offset=0
    )
    if not ids:
        invalid(422, q="no device that you may read is like that")
    if total > MOST_DEVICES:
        invalid(422, q=f"{total:,} devices are like that: ask for at most {MOST_DEVICES:,}")
    return ids


def _pairs(q: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Write `{"name_cont": "air", "id_in": [1, 2]}` as a query string has it."""
    for key, value in q.items():
        if isinstance(value, list):
            yield from ((f"q[{key}][]", str(item)) for item in value)
        else:
            yield f"q[{key}]", str(value).lower() if isinstance(value, bool) else str(value)
