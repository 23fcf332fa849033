"""Make the Flask application."""

import atexit
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import psycopg
from flask import Flask, Response, request
from flask_smorest import Blueprint
from psycopg_pool import PoolTimeout
from redis import RedisError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, Map

from app import api as resources
from app import browser, compression, headers, metrics, pages, rate_limits, ui_session
from app.api import devices_v1, docs, filtering, health, search
from app.api.bodies import MOST_BYTES, WholeRequest
from app.auth import current_asker, jwt, refuse_bad_credentials
from app.config import Config
from app.errors import EnvelopedApi, envelope, refuse
from app.jobs.queue import open_queue
from app.live.hub import Hub
from app.oauth import routes as oauth_routes
from app.oauth import server as oauth_server
from app.openapi import INFO, Conventions
from app.schemas import fields, paging
from app.schemas.base import LARGEST_ID
from ingestor.bell import Bell
from sql import AWAY, BEHIND, open_pool
from sql.replicas import Replicas

log = logging.getLogger(__name__)

_UNVERSIONED = (
    "v0",
    "v1",
    ".well-known",
    "docs",
    "explore",
    "healthz",
    "oauth",
    "openapi.json",
    "readyz",
    "static",
    "ui",
)


def create_app(config: Config | None = None) -> Flask:
    """Make the application; without a config it is read from the environment."""
    config = config or Config.from_env()
    app = Flask(__name__)
    app.request_class = WholeRequest
    app.url_map.strict_slashes = False  # official clients append a slash
    app.url_map.converters["int"] = _IdConverter
    app.config.update(
        API_TITLE="Almanac",
        API_VERSION="v0",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        JWT_SECRET_KEY=config.secret_key,
        MAX_CONTENT_LENGTH=MOST_BYTES,
    )
    app.wsgi_app = _UnprefixedIsV0(app.wsgi_app)  # type: ignore[method-assign]
    if config.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, config.trusted_proxies, config.trusted_proxies)  # type: ignore[method-assign]
    jwt.init_app(app)
    browser.init_app(app, config)
    oauth_server.init_app(app)

    pool = open_pool(config.database_url, max_size=config.pool_size)
    app.extensions["config"] = config
    app.extensions["database_pool"] = pool
    app.extensions["replicas"] = replicas = Replicas(pool, config.database_read_url, max_size=config.pool_size)
    atexit.register(pool.close)
    atexit.register(replicas.close)
    app.extensions["queue"] = open_queue(config.redis_url)
    app.extensions["bell"] = Bell(config.redis_url)
    app.extensions["streams"] = Hub(pool, config.redis_url)
    for handler, errors in _HANDLERS.items():
        for error in errors:
            app.register_error_handler(error, handler)
    compression.init_app(app)
    headers.init_app(app)
    rate_limits.init_app(app, config, who=current_asker)
    metrics.init_app(app)
    app.before_request(refuse_bad_credentials)
    app.before_request(_refuse_nul)

    api = EnvelopedApi(app, spec_kwargs={"info": INFO, "servers": [{"url": "/"}], "extra_plugins": [Conventions()]})
    for module in (fields, filtering, paging):
        module.register_fields(api)
    search.register_schemas(api)
    for blueprint in _v0():
        api.register_blueprint(blueprint, url_prefix="/v0")
    api.register_blueprint(devices_v1.blueprint, url_prefix="/v1")
    api.register_blueprint(health.blueprint, url_prefix="/")
    for blueprint in (docs.blueprint, oauth_routes.blueprint, pages.blueprint, ui_session.blueprint):
        app.register_blueprint(blueprint)
    return app


def _v0() -> Iterator[Blueprint]:
    """Yield the blueprint of every module of app/api that has one, but for those that have other paths."""
    for found in iter_modules(resources.__path__):
        blueprint = getattr(import_module(f"{resources.__name__}.{found.name}"), "blueprint", None)
        if blueprint not in (None, devices_v1.blueprint, docs.blueprint, health.blueprint):
            yield blueprint


class _IdConverter(IntegerConverter):
    """A number in a path is an id; what no id can be is no path of ours."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, min=1, max=LARGEST_ID)


_ASKS_FOR_V1 = re.compile(r"application/vnd\.smartcitizen\s*;\s*version=1\b")


class _UnprefixedIsV0:
    """Answer `/devices` as `/v0/devices`: what the platform whose wire this is does."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/" and "text/html" in environ.get("HTTP_ACCEPT", ""):
            path = environ["PATH_INFO"] = "/explore"  # a person, with a browser
        if path.split("/")[1:2] and path.split("/")[1] not in _UNVERSIONED:
            version = "/v1" if _ASKS_FOR_V1.search(environ.get("HTTP_ACCEPT", "")) else "/v0"
            environ["PATH_INFO"] = version + path
        return self._wsgi_app(environ, start_response)


def _refuse_nul() -> None:
    if "\0" in request.path:
        refuse(404, "no path holds a NUL character")


def _database_away(error: Exception) -> Response:
    answer = envelope(503, "the database does not answer; try again in a few seconds")
    answer.headers["Retry-After"] = "5"
    return answer


def _queue_away(error: Exception) -> Response:
    log.warning("Redis is away", extra={"error": str(error)})
    answer = envelope(503, "the queue of jobs does not answer; try again in a minute")
    answer.headers["Retry-After"] = "60"
    return answer


def _undone(error: Exception) -> Response:
    log.warning("undone", extra={"error": str(error).strip()})
    answer = envelope(503, "other writes were in the way and nothing has changed; try again")
    answer.headers["Retry-After"] = "1"
    return answer


def _overtaken(error: Exception) -> Response:
    log.exception("overtaken", exc_info=error)
    return envelope(409, "another request has just made or deleted something that this one needs; nothing has changed")


def _behind(error: Exception) -> Response:
    log.exception("the schema is not that of this release", exc_info=error)
    answer = envelope(503, "the database's schema is not that of this release yet; try again in a few seconds")
    answer.headers["Retry-After"] = "5"
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("unexpected error", exc_info=error)
    return envelope(500, "an error of ours; it has been logged")


_HANDLERS: dict[Callable[[Exception], Response], tuple[type[Exception], ...]] = {
    _database_away: (PoolTimeout, *AWAY),
    _behind: BEHIND,
    _queue_away: (RedisError,),
    _undone: (
        psycopg.errors.DeadlockDetected,
        psycopg.errors.LockNotAvailable,
        psycopg.errors.SerializationFailure,
    ),
    _overtaken: (psycopg.errors.ForeignKeyViolation, psycopg.errors.UniqueViolation),
    _unexpected: (Exception,),
}
