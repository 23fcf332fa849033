"""Join sites and part them: publications, subscriptions and slots of PostgreSQL's logical replication.

Site 2 takes from site 1 by its subscription `almanac_from_1`, for which site 1 keeps the slot `almanac_to_2`. Every
site takes from every other; nothing is passed on (`origin = none`).
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql as compose
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from app.sites.tables import REPLICATED
from sql import DictConnection, Row, connect, queries

_PATIENCE_S = 60.0
_LOOPBACK = {"", "localhost", "127.0.0.1", "::1"}
_ENCRYPTED = {"require", "verify-ca", "verify-full"}


class SiteError(Exception):
    """What was asked of a site cannot be; says why, and the way out."""


def init(conn: DictConnection, site_id: int, sites: int) -> None:
    """Make this platform site `site_id` of at most `sites`. Raises SiteError."""
    server = queries.site_conditions(conn)
    if server["version"] < 160_000:
        raise SiteError("sites need PostgreSQL 16 or newer: they rest on its logical replication with origin = none")
    if not server["is_superuser"]:
        raise SiteError("the role in DATABASE_URL must be a superuser: it makes a publication and subscriptions")
    if server["wal_level"] != "logical":
        raise SiteError("wal_level is not logical: ALTER SYSTEM SET wal_level = 'logical', and restart PostgreSQL")
    here = queries.site(conn)
    if here is not None and (here["id"], here["sites"]) != (site_id, sites):
        raise SiteError(f"this is site {here['id']} of {here['sites']} already; `almanac site leave` ends that")
    with conn.transaction():
        queries.insert_site(conn, id=site_id, sites=sites)
        follow_schema(conn)
        if here is None:
            # Inserts alone: what is pruned here is no deletion anywhere else.
            conn.execute("CREATE PUBLICATION almanac FOR TABLE outbox, changes WITH (publish = 'insert')")
    if server["kept"] == "-1":
        conn.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16GB'")  # for a site that is away
        conn.execute("SELECT pg_reload_conf()")


def this_site(conn: DictConnection) -> Row:
    """Return which site this is, of how many at the most. Raises SiteError where it is none."""
    here: Row | None = queries.site(conn)
    if here is None:
        raise SiteError("this platform is no site: `almanac site init --id K --of N` makes it one")
    return here


def follow_schema(conn: DictConnection) -> None:
    """Share the tables of app/sites/tables.py with the columns they have now; where there are no sites, do nothing."""
    if queries.site(conn) is None:
        return
    with conn.transaction():
        queries.delete_replicated_tables(conn)
        for name, table in REPLICATED.items():
            queries.insert_replicated_table(
                conn,
                name=name,
                key=table.key.split(),
                local_columns=table.local.split(),
                faint_columns=table.faint.split(),
                yielding=Jsonb(table.yielding),
            )
        queries.map_site(conn)


@contextmanager
def linked(conn: DictConnection, url: str, own_url: str) -> Iterator[dict[int, DictConnection]]:
    """Take from the site at `url` and all that it takes from, and let them take from here; connections to them.

    The first is that to the site at `url`. From here on nothing that is written anywhere is missed. Raises SiteError.
    """
    here = this_site(conn)
    for address in (url, own_url):
        _require_encryption(address)
    with ExitStack() as stack:
        first = stack.enter_context(_reached("the site to join", url))
        there = queries.site(first)
        if there is None:
            raise SiteError("that platform is no site yet: run `almanac site init` there")
        if there["sites"] != here["sites"] or there["id"] == here["id"]:
            raise SiteError(
                f"this is site {here['id']} of {here['sites']}, that one site {there['id']} of {there['sites']}"
            )
        if queries.migrated(conn) != queries.migrated(first):
            raise SiteError("the two platforms are of different versions: run `almanac migrate` at both")
        if not queries.site_is_empty(conn):
            raise SiteError("there are accounts or datapoints here already: a site joins with an empty database")
        urls = {there["id"]: url, **{row["id"]: row["url"] for row in queries.site_peers(first)}}
        others = {
            peer: stack.enter_context(_reached(f"site {peer}", urls[peer])) for peer in urls if peer != there["id"]
        }
        with conn.transaction():  # the seed's rows: the other sites have them, under the same ids, with edits
            names = (*REPLICATED, "row_versions", "changes", "pending_changes")
            tables = compose.SQL(", ").join(map(compose.Identifier, names))
            conn.execute(compose.SQL("TRUNCATE {} CASCADE").format(tables))
        try:
            for peer, peer_conn in {there["id"]: first, **others}.items():
                _subscribe(peer_conn, here["id"], own_url, as_site=peer)
                _subscribe(conn, peer, urls[peer], as_site=here["id"])
        except SiteError:
            for peer, peer_conn in {there["id"]: first, **others}.items():
                _unsubscribe(peer_conn, here["id"])
                _unsubscribe(conn, peer)
            raise
        # What another had written before its slot for us was made comes from the first, once that has it.
        for peer_conn in others.values():
            wait_until_confirmed(peer_conn, there["id"])
        yield {there["id"]: first, **others}


def relink(conn: DictConnection, peer_conn: DictConnection) -> None:
    """Let the first site take from the second anew if that no longer keeps its log for it, as it does not for ever."""
    here, peer = this_site(conn)["id"], this_site(peer_conn)["id"]
    kept = {row["id"]: row for row in queries.site_lags(peer_conn)}
    if here in kept and not kept[here]["lost"]:
        return
    (url,) = (row["url"] for row in queries.site_peers(conn) if row["id"] == peer)
    _unsubscribe(conn, peer, drop_slot=False)
    queries.drop_slot(peer_conn, id=here)
    _subscribe(conn, peer, url, as_site=here)


def leave(conn: DictConnection) -> list[int]:
    """Be no site any more; return those that could not be reached, and keep a slot for this one. Raises SiteError."""
    here = this_site(conn)
    unreached = []
    for row in queries.site_peers(conn):
        try:
            with connect(row["url"]) as peer_conn:
                _unsubscribe(peer_conn, here["id"])
        except psycopg.OperationalError:
            unreached.append(row["id"])
        let_go(conn, row["id"])
    conn.execute("DROP PUBLICATION almanac")
    queries.unmap_site(conn)
    return unreached


def let_go(conn: DictConnection, peer: int) -> None:
    """Take nothing any more from a site, and keep nothing for it."""
    try:
        _unsubscribe(conn, peer)
    except psycopg.OperationalError:  # it is away: its own slot stays there
        _unsubscribe(conn, peer, drop_slot=False)
    queries.drop_slot(conn, id=peer)


@contextmanager
def peers(conn: DictConnection) -> Iterator[dict[int, DictConnection]]:
    """Connections to all other sites, for a `with` block. Raises SiteError where one is away."""
    with ExitStack() as stack:
        yield {
            row["id"]: stack.enter_context(_reached(f"site {row['id']}", row["url"]))
            for row in queries.site_peers(conn)
        }


def wait_until_confirmed(conn: DictConnection, peer: int, patience_s: float = _PATIENCE_S) -> None:
    """Return once another site has all that has been written here so far. Raises SiteError when it takes too long."""
    position = queries.log_position(conn)
    deadline = time.monotonic() + patience_s
    while not queries.site_has_confirmed(conn, id=peer, position=position):
        if time.monotonic() > deadline:
            raise SiteError(f"site {peer} has not taken what it lacks for {patience_s:.0f} s: is it away?")
        time.sleep(0.05)


@contextmanager
def _reached(name: str, url: str) -> Iterator[DictConnection]:
    """A connection to another site, for a `with` block. Raises SiteError with its name where it is away, or goes."""
    conn = None
    try:
        with connect(url) as conn:
            yield conn
    except psycopg.OperationalError as error:
        if conn is not None and not conn.broken:  # another connection's
            raise
        raise SiteError(f"{name} does not answer: {str(error).strip()}") from None


def _require_encryption(url: str) -> None:
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its text has parts of the address, and so of a password
        raise SiteError(
            "an address is like postgresql://user:password@host:5432/database?sslmode=verify-full"
        ) from None
    hosts = {host for name in ("host", "hostaddr") for host in str(parts.get(name) or "").split(",")}
    remote = sorted(host for host in hosts - _LOOPBACK if not host.startswith("/"))
    if remote and parts.get("sslmode") not in _ENCRYPTED:
        raise SiteError(
            f"the connection to {remote[0]} would not be encrypted: add ?sslmode=verify-full&sslrootcert=… to its"
            " address, or sslmode=require where its certificate is nobody's"
        )


def _subscribe(conn: DictConnection, peer: int, url: str, as_site: int) -> None:
    """Let a site, with its connection, take from another. Raises SiteError where its server does not reach that one."""
    with _unlogged(conn):
        try:
            conn.execute(
                compose.SQL(
                    "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION almanac"
                    " WITH (slot_name = {}, origin = none, copy_data = false, binary = true)"
                ).format(
                    compose.Identifier(f"almanac_from_{peer}"),
                    compose.Literal(url),
                    compose.Literal(f"almanac_to_{as_site}"),
                )
            )
        except psycopg.OperationalError as error:
            reason = str(error).strip()
            raise SiteError(f"the server of site {as_site} does not reach that of site {peer}: {reason}") from None


@contextmanager
def _unlogged(conn: DictConnection) -> Iterator[None]:
    """Keep statements out of the server's log, for a `with` block: this one has a password in it."""
    settings = {"log_statement": "none", "log_min_error_statement": "panic", "log_min_duration_statement": "-1"}
    for name, value in settings.items():
        conn.execute(compose.SQL("SET {} = {}").format(compose.Identifier(name), compose.Literal(value)))
    try:
        yield
    finally:
        for name in settings:
            conn.execute(compose.SQL("RESET {}").format(compose.Identifier(name)))


def _unsubscribe(conn: DictConnection, peer: int, *, drop_slot: bool = True) -> None:
    """End a subscription and, at the other site, the slot that it has there."""
    if peer not in {row["id"] for row in queries.site_peers(conn)}:
        return
    name = compose.Identifier(f"almanac_from_{peer}")
    if not drop_slot:
        conn.execute(compose.SQL("ALTER SUBSCRIPTION {} DISABLE").format(name))
        conn.execute(compose.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(name))
    conn.execute(compose.SQL("DROP SUBSCRIPTION {}").format(name))
