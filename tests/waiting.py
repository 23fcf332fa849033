"""Wait for what other processes do."""

import time
from collections.abc import Callable

from sql import DictConnection


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    """Return once the condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds} s"
        time.sleep(0.05)


def refresh_all(conn: DictConnection) -> None:
    """Refresh what is new and whatever is dirty: a call does a month, and none while another process refreshes."""

    def refreshed() -> bool:
        conn.execute("CALL refresh_rollups()")
        return conn.execute("SELECT 1 FROM rollup_dirty LIMIT 1").fetchone() is None

    wait_for(refreshed)
