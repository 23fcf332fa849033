"""Commands that run a part of the platform until SIGTERM."""

import logging
import os
import sys
import tempfile
from threading import Event
from typing import TYPE_CHECKING

import click
from environs import FileAwareEnv

from app import metrics
from app.config import Config
from ingestor.stopping import Stopping

if TYPE_CHECKING:
    from rq import Queue

    from ingestor.probes import Needs

log = logging.getLogger(__name__)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    envvar="API_PORT",
    type=click.IntRange(0, 0xFFFF),
    default=5000,
    show_default=True,
    help="Port to listen on (API_PORT).",
)
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--threads", default=8, show_default=True, help="Threads in each.")
def serve(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the API with gunicorn."""
    Config.from_env()  # say what is wrong here, not once a worker process
    options = {
        "--bind": f"{host}:{port}",
        "--workers": workers,
        "--threads": threads,
        "--worker-class": "app.live.worker.Worker",
        "--logger-class": "app.gunicorn_log.JsonLogger",
    }
    if metrics.address():
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="almanac-metrics-")
        options["--config"] = "python:app.gunicorn_hooks"
    # No socket in $HOME, which all that its user runs would share, and through which they could be stopped.
    words = ["--no-control-socket", *(str(word) for option in options.items() for word in option)]
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *words, "app.factory:create_app()"])  # noqa: S606


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def ingest(arguments: tuple[str, ...]) -> None:
    """Take readings from the broker into the database until SIGTERM; `almanac ingest --help` says more."""
    os.execv(sys.executable, [sys.executable, "-m", "ingestor", *arguments])  # noqa: S606


@click.command()
def schedule() -> None:
    """Have workers do in time what comes back or is tried again, until SIGTERM. Of several, one is active."""
    from app.jobs.scheduler import schedule
    from app.platform_metrics import Database, JobsInRedis

    config, queue = _for_jobs()
    metrics.serve(_needs(config, queue), JobsInRedis(queue), Database(config.database_url))
    schedule(queue, config.database_url, Stopping().on_signals())


@click.command()
def worker() -> None:
    """Work on background jobs until SIGTERM."""
    from redis import RedisError
    from rq import Worker

    config, queue = _for_jobs()
    metrics.serve(_needs(config, queue))
    logging.getLogger("rq.worker").setLevel(logging.WARNING)  # each job says itself what it did; RQ has four lines more
    log.info("working")
    try:
        Worker([queue], connection=queue.connection, serializer=queue.serializer).work()
    except RedisError as error:
        raise click.ClickException(f"Redis does not answer: {error}") from None


@click.command()
def forward() -> None:
    """Forward over MQTT what researchers' devices send, until SIGTERM; MQTT_URL is the broker. Run one."""
    from app.forwarding import forward
    from sql.readiness import OK

    config, queue = _for_jobs()
    stopping, following = Stopping().on_signals(), Event()
    broker = {"broker": lambda: OK if following.is_set() else "it is away, or the database is"}
    metrics.serve({**_needs(config, queue), **broker})
    try:
        mqtt_url = FileAwareEnv().str("MQTT_URL")
        forward(config, mqtt_url, stopping, following)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _for_jobs() -> tuple[Config, "Queue"]:
    from app.jobs.queue import open_queue
    from ingestor.log import configure_logging

    configure_logging()
    config = Config.from_env()
    return config, open_queue(config.redis_url)


def _needs(config: Config, queue: "Queue") -> "Needs":
    from app.jobs.queue import ping
    from sql import readiness

    return {"database": lambda: readiness.database(config.database_url), "redis": lambda: ping(queue)}
