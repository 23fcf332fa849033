"""Sites of a test: real PostgreSQL servers that replicate to each other; they can be cut off, skewed and compared."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from postgres_servers import PostgresServer, prepare_server, server_directory, start_server
from proxy import Proxy, proxy_to
from waiting import wait_for

from app.cli import almanac
from app.jobs.sites import tend_replication
from app.sites.tables import REPLICATED
from ingestor.intake import read_json
from ingestor.known import Known
from ingestor.writer import Writer
from scripts import services
from sql import DictConnection, connect, queries

START = datetime(2026, 1, 15, tzinfo=UTC)  # of the readings that sites are sent
SETTINGS = {
    "wal_level": "logical",
    # a link that was cut is made again at once
    "wal_retrieve_retry_interval": "100ms",
    "wal_receiver_timeout": "3s",
    "wal_sender_timeout": "3s",
}


class Site:
    """One site; the others reach it through its proxy."""

    def __init__(self, number: int, server: PostgresServer, proxy: Proxy) -> None:
        self.number = number
        self.server = server
        self.proxy = proxy
        self.url = services.database_url(proxy.port)  # for the others
        self._conn: DictConnection | None = None

    @property
    def conn(self) -> DictConnection:
        if self._conn is None or self._conn.closed:
            self._conn = connect(self.server.url)
        return self._conn

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run `almanac …` as an operator of this site, and return what it says."""
        env = {"DATABASE_URL": self.server.url, "SITE_URL": self.url}
        result = CliRunner().invoke(almanac, arguments, env=env, catch_exceptions=False)
        assert bool(result.exit_code) == fails, result.output
        return result.output

    def cut_off(self) -> None:
        """Let nobody receive from this site."""
        self.proxy.closed.set()
        self.proxy.cut()

    def let_in(self) -> None:
        self.proxy.closed.clear()

    def kill(self) -> None:
        """`kill -9` every process of the database, and start it again."""
        self.server.kill()
        if self._conn is not None:
            self._conn.close()
        self.server.start()
        self.server.wait_until_ready()

    def skew_clock(self, seconds: int) -> None:
        """Let this site's clock go ahead or after."""
        self.conn.execute(
            "CREATE OR REPLACE FUNCTION wall_clock() RETURNS bigint LANGUAGE sql VOLATILE RETURN"
            f" ((extract(epoch FROM clock_timestamp()) + {seconds}) * 1000000)::bigint"
        )

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self.server.stop()


@contextmanager
def new_sites(
    count: int, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[list[Site]]:
    """As many platforms, each with its catalogue and not a site yet."""
    with ExitStack() as stack:
        directory: Path = stack.enter_context(server_directory())
        sites = []
        for number in range(1, count + 1):
            server = start_server(
                directory / f"site{number}", settings=SETTINGS | dict(settings or {}), binaries=binaries
            )
            proxy = stack.enter_context(proxy_to(server.port))
            sites.append(Site(number, server, proxy))
            stack.callback(sites[-1].close)
            prepare_server(server)
        yield sites


def join_all(sites: list[Site]) -> None:
    for site in sites:
        site.run("site", "init", "--id", str(site.number), "--of", str(len(sites)))
    for site in sites[1:]:
        site.run("site", "join", sites[0].url)


def state_of(site: Site) -> dict[str, list[tuple[object, ...]]]:
    """Everything that sites share, but for what each counts by itself."""
    state = {
        name: [tuple(row.values()) for row in site.conn.execute("SELECT * FROM rows_of(%s) ORDER BY key", [name])]
        for name in REPLICATED
    }
    datapoints = site.conn.execute("SELECT * FROM datapoints ORDER BY device_id, sensor_id, time").fetchall()
    return {**state, "datapoints": [tuple(row.values()) for row in datapoints]}


def settle(sites: list[Site], seconds: float = 30) -> None:
    """Let workers do their part, and return once all sites have the same; fail after so many seconds."""

    def same() -> bool:
        for site in sites:
            tend_replication(site.conn)
        first, *others = (state_of(site) for site in sites)
        return all(state == first for state in others)

    try:
        wait_for(same, seconds)
    except AssertionError:
        first, *others = (state_of(site) for site in sites)
        for site, state in zip(sites[1:], others, strict=True):
            for name in first:
                differing = set(map(repr, first[name])) ^ set(map(repr, state[name]))
                assert not differing, f"site 1 and {site.number}, {name}: {sorted(differing)[:6]}"


def orphans(conn: DictConnection) -> list[tuple[str, int]]:
    """The foreign keys that rows break: a server does not check what replication brings."""
    broken = []
    for row in conn.execute(
        "SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent,"
        " ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (n, i)"
        " JOIN pg_attribute ON attrelid = conrelid AND attnum = n ORDER BY i) AS columns,"
        " ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k (n, i)"
        " JOIN pg_attribute ON attrelid = confrelid AND attnum = n ORDER BY i) AS keys"
        " FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    ).fetchall():
        matches = " AND ".join(f"p.{k} = c.{c}" for c, k in zip(row["columns"], row["keys"], strict=True))
        given = " AND ".join(f"c.{c} IS NOT NULL" for c in row["columns"])
        count = conn.execute(
            f"SELECT count(*) AS n FROM {row['child']} AS c"
            f" WHERE {given} AND NOT EXISTS (SELECT FROM {row['parent']} AS p WHERE {matches})"
        ).fetchone()
        if count["n"]:
            broken.append((f"{row['child']}.{row['columns']}", count["n"]))
    return broken


def site_sees(site: Site, query: str, *parameters: object) -> None:
    """Return once a query, at a site, finds something, and that is true."""

    def seen() -> object:
        row = site.conn.execute(query, parameters).fetchone()
        return row and next(iter(row.values()))

    wait_for(seen)


def new_device(site: Site, owner_id: int, name: str = "Balcony") -> int:
    device_id: int = queries.insert_device(site.conn, owner_id=owner_id, kit_id=None, name=name)
    return device_id


def payload(readings: dict[tuple[int, int], float]) -> bytes:
    """Values by sensor and minute, as a client sends them."""
    minutes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for (sensor_id, minute), value in readings.items():
        minutes[minute].append({"id": sensor_id, "value": value})
    data = [
        {"recorded_at": (START + timedelta(minutes=minute)).isoformat(), "sensors": sensors}
        for minute, sensors in minutes.items()
    ]
    return json.dumps({"data": data}).encode()


def send(site: Site, device_id: int, readings: dict[tuple[int, int], float]) -> list[bool]:
    """Send readings of a device to a site, and return which of them changed something."""
    known = Known()
    batch = read_json(site.conn, device_id, "http/readings", payload(readings), known, datetime.now(UTC))
    return Writer(known).write(site.conn, batch).stored.tolist()


def rename(site: Site, device_id: int, name: str) -> None:
    site.conn.execute("UPDATE devices SET name = %s, updated_at = now() WHERE id = %s", [name, device_id])


def column(site: Site, query: str, *parameters: object) -> list[Any]:
    """The values of a query's only column."""
    return [next(iter(row.values())) for row in site.conn.execute(query, parameters).fetchall()]


@contextmanager
def cut_off(*sites: Site) -> Iterator[None]:
    """Nobody receives from these sites meanwhile."""
    for site in sites:
        site.cut_off()
    try:
        yield
    finally:
        for site in sites:
            site.let_in()


def owner_of(site: Site) -> int:
    row = site.conn.execute("SELECT id FROM users WHERE username = 'owner'").fetchone()
    return int(row["id"])
