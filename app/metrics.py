"""The numbers of the API and of what works behind it for Prometheus, on a port of their own: METRICS_PORT.

Not a path of the API: `GET /metrics` is v0's counters there, and what a site does is for its operators alone.
"""

import time

from environs import Env
from flask import Flask, Response, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.database import pool
from ingestor import probes
from ingestor.probes import Needs
from ingestor.settings import PORT

REQUESTS = Counter("almanac_http_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "almanac_http_request_seconds", "From a request's arrival to its answer's start.", ["method", "route"]
)
POOL = Gauge(
    "almanac_database_pool_connections",
    "Database connections of the API's processes, and requests that wait for one.",
    ["state"],
    multiprocess_mode="livesum",
)


def address() -> tuple[str, int] | None:
    """Return host and port to answer Prometheus on, or None: nobody asks."""
    env = Env()
    port = env.int("METRICS_PORT", 0, validate=PORT)
    return (env.str("METRICS_HOST", "127.0.0.1"), port) if port else None


def init_app(app: Flask) -> None:
    """Count requests; routes, not paths, lest every device id become a series."""

    @app.before_request
    def start() -> None:
        g.started = time.monotonic()

    @app.after_request
    def count(answer: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        REQUESTS.labels(request.method, route, answer.status_code).inc()
        SECONDS.labels(request.method, route).observe(time.monotonic() - g.get("started", time.monotonic()))
        stats = pool().get_stats()
        available = stats.get("pool_available", 0)
        POOL.labels("used").set(stats.get("pool_size", 0) - available)
        POOL.labels("free").set(available)
        POOL.labels("waiting").set(stats.get("requests_waiting", 0))
        return answer


def serve_processes(host: str, port: int) -> None:
    """Answer for all of the API's processes, which share a directory of numbers: PROMETHEUS_MULTIPROC_DIR.

    Raises EnvError when the port is taken.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise probes.cannot_listen(host, port, error) from None


def serve(needs: Needs, *collectors: Collector) -> None:
    """Answer for a process that is no server otherwise, if asked for: its numbers, and whether it has what it needs."""
    if where := address():
        for collector in collectors:
            REGISTRY.register(collector)
        probes.serve(*where, needs)
