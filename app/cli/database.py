"""Commands that look after the database."""

import click
import psycopg
from environs import Env, EnvError


def database_url() -> str:
    try:
        return Env().str("DATABASE_URL")
    except EnvError as error:
        raise click.ClickException(str(error)) from None


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from sql.migrate import MigrationError, migrate

    try:
        applied = migrate(database_url())
    except (MigrationError, psycopg.OperationalError) as error:
        raise click.ClickException(str(error)) from None
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")


@click.command()
def seed() -> None:
    """Fill in the catalogue: the sensors, measurements and kits that firmware knows by id."""
    from app.seed import seed
    from sql import connect

    with connect(database_url()) as conn:
        seed(conn)
