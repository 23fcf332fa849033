"""Commands of a deployment that has several sites."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import psycopg

from app.cli.database import database_url

if TYPE_CHECKING:
    from sql import DictConnection


@click.group()
def site() -> None:
    """Keep the same data at several sites, none of which is the master.

    Each is a whole platform. They need PostgreSQL 16 with wal_level = logical, the same SECRET_KEY, and in DATABASE_URL
    a superuser.
    """


@site.command()
@click.option("--id", "site_id", type=click.IntRange(1, 255), required=True, help="This site's number.")
@click.option("--of", "sites", type=click.IntRange(2, 255), required=True, help="The most sites there will ever be.")
def init(site_id: int, sites: int) -> None:
    """Make this platform a site. The first one may hold data already."""
    from app.sites.links import init

    if site_id > sites:
        raise click.BadParameter(f"there is no site {site_id} of {sites}")
    with _connection() as conn:
        init(conn, site_id, sites)
    click.echo(f"this is site {site_id} of {sites}")


@site.command()
@click.argument("url")
@click.option("--own-url", envvar="SITE_URL", required=True, help="How other sites reach this database (SITE_URL).")
def join(url: str, own_url: str) -> None:
    """Join the site whose database is at URL, and with it all others.

    This site's database holds nobody's data yet; start its processes afterwards. The other sites go on meanwhile.
    """
    from app.sites.compare import copy_all
    from app.sites.links import follow_schema, linked

    with _connection() as conn, linked(conn, url, own_url) as connections:
        click.echo(f"joined {', '.join(f'site {peer}' for peer in connections)}; copying …")
        copy_all(next(iter(connections.values())), conn)
        follow_schema(conn)  # its ids begin above what was copied
    click.echo("copied")


@site.command()
@click.argument("other", type=click.IntRange(1, 255), required=False)
def leave(other: int | None) -> None:
    """Be no site any more; or, with the number of an OTHER site that will not come back, let that one go."""
    from app.sites.links import leave, let_go

    with _connection() as conn:
        if other is not None:
            let_go(conn, other)
            click.echo(f"nothing is taken from site {other} any more, and nothing kept for it")
            return
        unreached = leave(conn)
    click.echo("this is no site any more")
    if unreached:
        away = ", ".join(map(str, unreached))
        raise click.ClickException(f"not reached: site {away}; run `almanac site leave` with this site's number there")


@site.command()
def status() -> None:
    """Show how far each other site is behind."""
    from app.sites.links import this_site
    from sql import queries

    with _connection() as conn:
        here = this_site(conn)
        click.echo(f"site {here['id']} of {here['sites']}")
        lags = {row["id"]: row for row in queries.site_lags(conn)}
        for peer in sorted(lags.keys() | {row["id"] for row in queries.site_peers(conn)}):
            click.echo(f"site {peer}: {_sending(lags.get(peer))}; {_receiving(queries.site_receiving(conn, id=peer))}")


def _sending(lag: "dict[str, object] | None") -> str:
    if lag is None:
        return "nothing is kept for it"
    if lag["lost"]:
        return "was away for too long, run `almanac site check`"
    return f"{'' if lag['active'] else 'away, '}{lag['seconds']:.1f} s and {lag['bytes']:,} bytes behind"


def _receiving(receiving: bool) -> str:
    return "received from" if receiving else "not received from"


@site.command()
def check() -> None:
    """Compare with every other site, row by row and hour by hour, and send again what differs.

    A site that was away for too long is taken in again. Exit code 1 where something differed.
    """
    from app.sites.compare import heal
    from app.sites.links import peers, relink, this_site, wait_until_confirmed

    with _connection() as conn, peers(conn) as others:
        differed = False
        here = this_site(conn)["id"]
        for peer, peer_conn in others.items():
            relink(conn, peer_conn)
            relink(peer_conn, conn)
            wait_until_confirmed(conn, peer)
            wait_until_confirmed(peer_conn, here)
            differences = heal(conn, peer_conn)
            differed = differed or any(differences)
            click.echo(f"site {peer}: {differences.rows} rows and {differences.hours} hours of devices differed")
    if differed:
        raise SystemExit(1)


@contextmanager
def _connection() -> "Iterator[DictConnection]":
    from app.sites.links import SiteError
    from sql import BEHIND, connect

    try:
        with connect(database_url()) as conn:
            yield conn
    except (SiteError, psycopg.Error) as error:
        if isinstance(error, BEHIND) or (isinstance(error, psycopg.OperationalError) and not error.sqlstate):
            raise  # `almanac` has the sentence
        raise click.ClickException(str(error).strip()) from None
