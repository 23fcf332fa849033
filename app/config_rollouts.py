"""Roll a configuration out: to some percent of the devices at first, then to more; it pauses where devices complain."""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from app.device_configs import resolved
from sql import DictConnection, Row, queries

MOST_IN_TROUBLE = 0.1  # of the devices that were told; one is enough where there are few


def start(conn: DictConnection, owner_id: int, device_ids: list[int], asked: Mapping[str, Any], **fields: Any) -> int:
    """Make a roll-out to these devices, tell the first of them, and return its id; call it in a transaction.

    `asked` as ConfigRequest loads it, `fields` are experiment_id, user_id and percent. Refuses with 422, and so tells
    nobody, where the kit of one device does not allow it.
    """
    device_ids = sorted(device_ids)
    configs = [Jsonb(config) for config in resolved(conn, device_ids, asked)]
    rollout_id: int = queries.insert_config_rollout(conn, owner_id=owner_id, config=Jsonb(asked), **fields)
    queries.insert_config_rollout_devices(conn, rollout_id=rollout_id, device_ids=device_ids, configs=configs)
    _tell(conn, rollout_id, fields["percent"], len(device_ids))
    return rollout_id


def go_on(conn: DictConnection, rollout: Row, percent: int) -> None:
    """Let a roll-out run, to so many percent; call it in a transaction that has it from config_rollout_to_change."""
    queries.change_config_rollout(conn, id=rollout["id"], percent=percent, state="running", reason=None)
    _tell(conn, rollout["id"], percent, progress(conn, rollout["id"])["total"])


def pause(conn: DictConnection, rollout: Row, reason: str | None = None) -> None:
    """Pause a roll-out: whoever has not applied it, as those that sleep, is told again what it was told before.

    Call it in a transaction that has it from config_rollout_to_change.
    """
    queries.hold_devices_of_rollout(conn, rollout_id=rollout["id"])
    queries.take_back_config_rollout(conn, rollout_id=rollout["id"])
    queries.change_config_rollout(conn, id=rollout["id"], percent=rollout["percent"], state="paused", reason=reason)


def complaint(reached: Row) -> str | None:
    """Return why a roll-out that has got so far must not go on, or None."""
    troubled, told = reached["in_trouble"], reached["told"]
    if not len(troubled) or len(troubled) < MOST_IN_TROUBLE * told:
        return None
    shown = ", ".join(map(str, troubled[:10])) + (", …" if len(troubled) > 10 else "")
    return f"{len(troubled)} of {told} devices that were told refuse it or report new errors: {shown}"


def progress(conn: DictConnection, rollout_id: int) -> Row:
    """Return how far a roll-out is."""
    (row,) = queries.config_rollout_progress(conn, ids=[rollout_id])
    reached: Row = row
    return reached


def _tell(conn: DictConnection, rollout_id: int, percent: int, total: int) -> None:
    queries.hold_devices_of_rollout(conn, rollout_id=rollout_id)
    queries.tell_config_rollout(conn, rollout_id=rollout_id, most=-(-percent * total // 100))
