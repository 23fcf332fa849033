"""Commands that look after the database."""

import click
import psycopg
from environs import FileAwareEnv

from ingestor.settings import database_address


def database_url() -> str:
    try:
        return database_address("DATABASE_URL", FileAwareEnv(strip_whitespace=True).str("DATABASE_URL"))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.option(
    "--statement-timeout", default=120, show_default=True, help="Seconds that a statement may take, holding its locks."
)
def migrate(statement_timeout: int) -> None:
    """Bring the database's schema up to date; the release before may go on running meanwhile."""
    from app.sites.links import follow_schema
    from sql import connect
    from sql.migrate import MigrationError, migrate

    try:
        applied = migrate(database_url(), statement_timeout_s=statement_timeout)
        with connect(database_url()) as conn:
            follow_schema(conn)
    except (MigrationError, psycopg.OperationalError) as error:
        raise click.ClickException(str(error)) from None
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")


@click.command()
@click.argument("days", required=False)
@click.option("--owner", metavar="USERNAME", help="Only the devices of this user, and their aggregates too.")
def retention(days: str | None, owner: str | None) -> None:
    """Keep datapoints for so many DAYS, or `forever`; without an argument show what holds.

    Older ones are dropped, a week late, and not taken in any more. Their aggregates stay: history goes on to be
    answered in buckets of 15 minutes, hours and days. One owner's may be kept for less, and then go with their
    aggregates; who is to keep more than others is kept by the platform's limit, and the others to less.
    """
    from sql import connect, queries

    if days not in (None, "forever") and not (days.isdecimal() and 1 <= int(days) <= 36500):
        raise click.BadParameter(f"{days!r} is neither `forever` nor a number from 1 to 36500")
    with connect(database_url()) as conn:
        if days is not None:
            number = None if days == "forever" else int(days)
            if owner is None:
                queries.keep_datapoints_for(conn, days=number)
            else:
                queries.keep_datapoints_of(conn, username=owner, days=number)
        kept = queries.datapoints_kept_for(conn)
        of_owner = queries.datapoints_of_kept_for(conn, username=owner) if owner else None
    if owner:
        if of_owner is None:
            raise click.BadParameter(f"there is no user {owner!r}", param_hint="--owner")
        if of_owner["days"] and not (kept and kept <= of_owner["days"]):
            click.echo(f"datapoints of {owner} are kept for {of_owner['days']} days")
            return
    click.echo(f"datapoints are kept {f'for {kept} days' if kept else 'forever'}")


@click.command()
def seed() -> None:
    """Fill in the catalogue: the sensors, measurements and kits that firmware knows by id."""
    from app.seed import seed
    from sql import connect

    with connect(database_url()) as conn:
        seed(conn)
