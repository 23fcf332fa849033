"""What a scheduler or a worker of the tests imports before it starts: one job that comes back fast, and short leases.

The job notes its run in the table `ticks`, and does not end while `held_ticks` holds something.
"""

import os
import sys
import time
from datetime import timedelta
from types import ModuleType

import rq

from app.config import Config
from app.jobs import periodic, scheduler
from sql import connect

PERIOD_S = 2
TABLES = """
CREATE TABLE ticks (at timestamptz NOT NULL DEFAULT clock_timestamp(), pid integer, ended_at timestamptz);
CREATE TABLE held_ticks (pid integer);
"""


def tick() -> None:
    with connect(Config.from_env().database_url) as conn:
        conn.execute("INSERT INTO ticks (pid) VALUES (%s)", [os.getpid()])
        while conn.execute("SELECT 1 FROM held_ticks").fetchone():
            time.sleep(0.05)
        conn.execute("UPDATE ticks SET ended_at = clock_timestamp() WHERE pid = %s AND ended_at IS NULL", [os.getpid()])


def patch() -> None:
    """Make this process one that ticks."""
    module = sys.modules["app.jobs.ticking"] = ModuleType("app.jobs.ticking")
    module.tick = tick  # type: ignore[attr-defined]
    periodic.PERIODS.clear()
    periodic.PERIODS["ticking.tick"] = timedelta(seconds=PERIOD_S)
    periodic.LEASE_S = scheduler._LOCK_S = 2
    periodic._BEAT_S = scheduler._LOOK_EVERY_S = 0.2
    rq.Worker = rq.SimpleWorker  # type: ignore[misc]  # one process, so that its kill ends its job
