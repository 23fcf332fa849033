"""The command line, `almanac`: run the parts of the platform, and look after its database."""

from typing import Any

import click
import psycopg
from environs import EnvError

from app.cli.accounts import user
from app.cli.broker import broker
from app.cli.database import migrate, retention, seed
from app.cli.demo import demo
from app.cli.processes import forward, ingest, schedule, serve, worker
from app.cli.sites import site
from app.cli.upkeep import db
from app.config import ConfigError
from sql import BEHIND


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigError, EnvError) as error:
            raise click.ClickException(str(error)) from None
        except BEHIND as error:
            reason = error.diag.message_primary
            raise click.ClickException(f"the schema is not this release's ({reason}): run `almanac migrate`") from None
        except psycopg.OperationalError as error:
            if error.sqlstate:  # the server has spoken: that is for who looks after the code
                raise
            raise click.ClickException(f"the database does not answer: {error}") from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def almanac() -> None:
    """Almanac, an open sensor-data platform.

    Every command reads its settings from the environment; README.md lists them. ./scripts/dev starts everything at
    once on this machine.
    """


for command in (serve, ingest, worker, schedule, forward, migrate, retention, seed, db, user, broker, site, demo):
    almanac.add_command(command)
