"""Commands that tell how the database is."""

import click
import psycopg

from app.cli.database import database_url

_CHECKS = ("policies", "refresh", "dirty", "columnstore", "scans", "log")


@click.group()
def db() -> None:
    """Look at the database as its operator does."""


@db.command()
@click.option("--disk", type=click.FloatRange(min=0, min_open=True), help="GB that the disk holds, for a forecast.")
def check(disk: float | None) -> None:
    """Say of each thing that keeps itself up how it is, how it may be and, where it is not well, the way out.

    Ends with 0 where all is well, 1 where something is not, 2 where the database does not answer.
    """
    from sql import connect, queries

    try:
        with connect(database_url()) as conn:
            rows = [row for name in _CHECKS for row in getattr(queries, f"check_{name}")(conn)]
            rows += queries.check_disk(conn, disk_gb=disk)
    except psycopg.OperationalError as error:
        click.echo(f"the database does not answer: {str(error).strip()}", err=True)
        raise SystemExit(2) from None
    for row in rows:
        click.echo(f"{'ok ' if row['is_well'] else 'BAD'} {row['thing']}: {row['state']} (allowed: {row['allowed']})")
        if not row["is_well"]:
            click.echo(f"    {row['way_out']}")
    if not all(row["is_well"] for row in rows):
        raise SystemExit(1)
