"""The servers of DATABASE_READ_URL: which of them may answer now, in the primary's place and as the primary would.

Whoever reads is first told by the primary how far its log reaches, and takes a replica that has replayed as much: so
an answer holds whatever was confirmed before it was asked for, by whom and through which door ever. A replica that is
gone, or does not get there in time, is left alone for some seconds, and the primary answers.
"""

import logging
import time
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import PoolTimeout

from sql import Pool, open_pool, queries

log = logging.getLogger(__name__)

LEFT_ALONE_S = 5.0
_CONNECT_S = 1.0
_POLL_S = 0.005


class Source(NamedTuple):
    """Where to read. Each query of one answer goes here, since two servers are never equally far."""

    pool: Pool
    complete_as_of: datetime | None  # what was confirmed before this is there; None: all that has been until now


class Replicas:
    """Pools of `max_size` connections, one a server of `read_url`, beside the pool of the primary."""

    def __init__(self, primary: Pool, read_url: str, max_size: int) -> None:
        self._primary = primary
        self._pools = {where: open_pool(url, max_size=max_size, writable=False) for where, url in _servers(read_url)}
        self._left_alone_until = dict.fromkeys(self._pools, 0.0)  # on the monotonic clock
        self._turn = 0

    def source(self, patience_s: float = 0.25) -> Source:
        """Return where to read; a replica gets `patience_s` to catch up. Raises psycopg's errors and PoolTimeout."""
        now = time.monotonic()
        wheres = [where for where, until in self._left_alone_until.items() if until <= now]
        if wheres:
            with self._primary.connection() as conn:
                written = queries.written_until(conn)
            self._turn += 1
            for number in range(len(wheres)):
                where = wheres[(self._turn + number) % len(wheres)]
                if self._has_caught_up(where, written["position"], patience_s):
                    return Source(self._pools[where], written["moment"])
        return Source(self._primary, None)

    def close(self) -> None:
        """Leave the replicas."""
        for pool in self._pools.values():
            pool.close()

    def _has_caught_up(self, where: str, position: str, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        try:
            with self._pools[where].connection(timeout=_CONNECT_S) as conn:
                while not queries.has_replayed(conn, position=position):
                    if time.monotonic() > deadline:
                        raise PoolTimeout(f"more than {patience_s} s behind")
                    time.sleep(_POLL_S)
            return True
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.warning("replica left alone", extra={"replica": where, "error": str(error), "seconds": LEFT_ALONE_S})
            self._left_alone_until[where] = time.monotonic() + LEFT_ALONE_S
            return False


def _servers(read_url: str) -> list[tuple[str, str]]:
    """Return host and port of each server that an address names, and an address for it alone."""
    if not read_url:
        return []
    given = conninfo_to_dict(read_url)
    hosts = str(given.get("host", "")).split(",")
    ports = str(given.get("port", "5432")).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [
        (f"{host}:{port}", make_conninfo(read_url, host=host, port=port))
        for host, port in zip(hosts, ports, strict=True)
    ]
