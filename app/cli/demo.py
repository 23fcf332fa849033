"""A command that ./scripts/dev uses."""

import json

import click

from app.cli.database import database_url


@click.command()
@click.option("--token", required=True, help="Device token of the demonstration kit.")
def demo(token: str) -> None:
    """Make a user `demo` with one public kit known by this token; print {"device_id": …} as JSON."""
    from app.demo import make_demo
    from sql import connect

    with connect(database_url()) as conn:
        click.echo(json.dumps({"device_id": make_demo(conn, token)}))
