"""What a process tells whoever watches it, on METRICS_PORT: its numbers for Prometheus, and whether it can work."""

import logging
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
from environs import EnvError
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from sql.readiness import OK

log = logging.getLogger(__name__)

# What a process needs, by name: `ok`, or what is wrong with it now.
Needs = Mapping[str, Callable[[], str]]


def serve(host: str, port: int, needs: Needs) -> None:
    """Answer in a thread: /metrics, /healthz while it lives, /readyz while all is there that it needs, else with 503.

    Nobody waits for another's answer: a database that hangs is no reason to kill a process that is well.
    Raises EnvError when the port is taken.
    """
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answered: Iterable[bytes] = metrics(environ, start_response)
            return answered
        if path not in ("/healthz", "/readyz"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"GET /metrics, /healthz or /readyz\n"]
        found = {name: ask() for name, ask in needs.items()} if path == "/readyz" else {}
        is_ready = set(found.values()) <= {OK}
        status = "200 OK" if is_ready else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [orjson.dumps({"status": OK if is_ready else "degraded", **found})]

    try:
        server = make_server(host, port, answer, ThreadingWSGIServer, _Quiet)
    except OSError as error:
        raise cannot_listen(host, port, error) from None
    Thread(target=server.serve_forever, daemon=True).start()
    log.info("metrics", extra={"address": f"http://{host}:{server.server_port}/metrics"})


def cannot_listen(host: str, port: int, error: OSError) -> EnvError:
    return EnvError(f"METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}")


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass
