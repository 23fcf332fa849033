"""Commands that run a part of the platform until SIGTERM."""

import os
import sys

import click
from environs import EnvError

from app.config import Config, ConfigError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", envvar="API_PORT", default=5000, show_default=True, help="Port to listen on (API_PORT).")
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--threads", default=8, show_default=True, help="Threads in each.")
def serve(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the API with gunicorn."""
    try:
        Config.from_env()  # say what is wrong here, not once a worker process
    except (ConfigError, EnvError) as error:
        raise click.ClickException(str(error)) from None
    options = {
        "--bind": f"{host}:{port}",
        "--workers": workers,
        "--threads": threads,
        "--worker-class": "gthread",
        "--logger-class": "app.access_log.MaskedLogger",
    }
    words = [str(word) for option in options.items() for word in option]
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *words, "app.factory:create_app()"])  # noqa: S606


@click.command()
def ingest() -> None:
    """Take readings from the broker into the database until SIGTERM."""
    os.execv(sys.executable, [sys.executable, "-m", "ingestor"])  # noqa: S606


@click.command()
def worker() -> None:
    """Work on background jobs until SIGTERM."""
    from rq import Worker

    from app.jobs.periodic import schedule_all
    from app.jobs.queue import open_queue
    from ingestor.log import configure_logging

    configure_logging()
    try:
        queue = open_queue(Config.from_env().redis_url)
    except (ConfigError, EnvError) as error:
        raise click.ClickException(str(error)) from None
    schedule_all(queue)
    Worker([queue], connection=queue.connection, serializer=queue.serializer).work(with_scheduler=True)
