"""Commands that look after the broker's logins."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click
from environs import FileAwareEnv

from app.cli.database import database_url
from ingestor.stopping import Stopping

if TYPE_CHECKING:
    from app.broker.keeper import Keeper


@click.group()
def broker() -> None:
    """Look after the broker's logins: device tokens, which it checks itself.

    MQTT_ADMIN_URL is where: mqtt://:password@host:port of the broker's listener for devices, or mqtts://…; MQTT_URL is
    the one for our own programs, which tell devices what to do.
    """


@broker.command()
def keep() -> None:
    """Let new tokens in, cut off those that have ended, tell devices what to do, until SIGTERM. Run one."""
    from prometheus_client import Gauge

    from app import metrics
    from app.broker.keeper import keep
    from ingestor.log import configure_logging
    from sql.readiness import OK

    configure_logging()
    stopping, following = Stopping().on_signals(), Event()
    connected = Gauge("almanac_keeper_connected", "1 while there is a connection to the broker and to the database.")
    connected.set_function(following.is_set)
    metrics.serve({"broker and database": lambda: OK if following.is_set() else "one of them is away"})
    with _errors_as_messages():
        urls = database_url(), _setting("MQTT_ADMIN_URL"), _setting("MQTT_URL")
        keep(*urls, _setting("SECRET_KEY"), stopping, following)


@broker.command()
def check() -> None:
    """Compare the broker with the database; exit code 1 where they differ."""
    with _keeper() as keeper:
        drift = keeper.drift()
    settings = "wrong" if drift.settings else "right"
    logins = f"missing {drift.missing}, surplus {drift.surplus}, settings {settings}"
    click.echo(f"{logins}, configurations {'wrong' if drift.configs else 'right'}")
    if drift:
        raise SystemExit(1)


@broker.command()
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="Write the plugin's file, for a stopped broker."
)
def rebuild(file: Path | None) -> None:
    """Make the broker's logins again from the database.

    The running broker needs 12 ms a login where it has 2,000, and 120 ms where it has 20,000; a file takes seconds.
    """
    if file is not None:
        _write(file)
        return
    with _keeper() as keeper:
        drift = keeper.take_stock()
        while keeper.step():
            pass
        left = keeper.drift()
    click.echo(f"made {drift.missing - left.missing}, ended {drift.surplus}")
    if left.missing:
        raise click.ClickException(_sealed_otherwise(left.missing))


def _write(file: Path) -> None:
    from app.broker.dynsec import document
    from app.broker.keeper import open_all
    from sql import connect

    with _errors_as_messages(), connect(database_url()) as conn:
        tokens, unopened = open_all(conn, _setting("SECRET_KEY"))
    password = unquote(urlsplit(_setting("MQTT_ADMIN_URL")).password or "")
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(document(password, tokens), opened)
    click.echo(f"{file}: {len(tokens)} logins")
    if unopened:
        raise click.ClickException(_sealed_otherwise(unopened))


def _sealed_otherwise(tokens: int) -> str:
    return f"{tokens} tokens were sealed with another SECRET_KEY: set that one, or make their devices new tokens"


@contextmanager
def _keeper() -> Iterator["Keeper"]:
    from app.broker.configs import ConfigKeeper, Retained
    from app.broker.dynsec import OPERATOR, Dynsec
    from app.broker.keeper import Keeper
    from sql import connect

    with (
        _errors_as_messages(),
        connect(database_url()) as conn,
        Dynsec(_setting("MQTT_ADMIN_URL"), OPERATOR) as dynsec,
        Retained(_setting("MQTT_URL")) as retained,
    ):
        secret_key = _setting("SECRET_KEY")
        yield Keeper(conn, dynsec, ConfigKeeper(conn, retained, secret_key), secret_key)


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    from app.broker.connection import BrokerError

    try:
        yield
    except (BrokerError, ValueError) as error:
        raise click.ClickException(str(error).strip()) from None


def _setting(name: str) -> str:
    return FileAwareEnv(strip_whitespace=True).str(name)
