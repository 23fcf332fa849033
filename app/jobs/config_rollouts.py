"""Pause roll-outs of which devices complain."""

from app.config import Config
from app.config_rollouts import complaint, pause, progress
from sql import connect, queries


def watch() -> dict[str, int]:
    """Look at each roll-out that runs."""
    paused = 0
    with connect(Config.from_env().database_url) as conn:
        for row in queries.running_config_rollouts(conn):
            with conn.transaction():
                rollout = queries.config_rollout_to_change(conn, id=row["id"])
                if rollout is None or rollout["state"] != "running":
                    continue
                reason = complaint(progress(conn, rollout["id"]))
                if reason is not None:
                    pause(conn, rollout, reason)
                    paused += 1
    return {"paused": paused}
