"""Fill the catalogue with the sensors, measurements and kits that devices know by their ids, and their equations."""

from importlib.resources import files
from typing import Any

import psycopg


def seed(conn: psycopg.Connection[Any]) -> None:
    """Add what the catalogue lacks, all or nothing; what is there stays as somebody edited it."""
    with conn.transaction():
        for name in ("catalogue.sql", "calibrations.sql", "ranges.sql"):
            conn.execute((files("migrations") / "seed" / name).read_bytes())
