"""What the platform says of itself: where things are, its version, its counters."""

import platform
import time
from importlib.metadata import version

from flask import Response, current_app, request
from flask_smorest import Blueprint

from app.api.respond import answer
from app.database import connection
from app.schemas.home import Home, Metrics, Version
from sql import DictConnection, Row, queries

blueprint = Blueprint("home", __name__, description="The platform itself")

_METRICS_FOR_S = 60
_COUNTS = ("now", "last_hour", "today", "this_month", "this_year", "all_time")
_RESOURCES = {
    "current_user_url": "me",
    "components_url": "components",
    "devices_url": "devices",
    "experiments_url": "experiments",
    "kits_url": "kits",
    "measurements_url": "measurements",
    "search_url": "search",
    "sensors_url": "sensors",
    "tags_url": "tags",
    "tags_sensors_url": "tag_sensors",
    "users_url": "users",
}


@blueprint.get("/")
@blueprint.response(200, Home)
def home() -> Response:
    """Show where things are."""
    here = request.host_url
    links = answer(
        {
            "notice": "Almanac, an open sensor-data platform. Its documentation is one click away.",
            "api_documentation_url": f"{here}docs",
            **{name: f"{here}v0/{path}" for name, path in _RESOURCES.items()},
            "version_git": version("almanac"),
        }
    )
    links.headers["Cache-Control"] = "public, max-age=300"
    return links


@blueprint.get("/version")
@blueprint.response(200, Version)
def show_version() -> Response:
    """Show the version that is running."""
    return answer(
        {
            "env": "development" if current_app.debug else "production",
            "version": version("almanac"),
            "python": platform.python_version(),
            **dict.fromkeys(("ruby", "rails", "branch", "revision")),
        }
    )


@blueprint.get("/metrics")
@blueprint.response(200, Metrics)
def metrics() -> Response:
    """Show counters of devices, readings and users, at most a minute old."""
    counted_at, counted = current_app.extensions.get("metrics", (0.0, None))
    if counted is None or time.monotonic() - counted_at > _METRICS_FOR_S:
        with connection() as conn:
            counted = _count(conn)
        current_app.extensions["metrics"] = (time.monotonic(), counted)
    shown = answer(counted)
    shown.headers["Cache-Control"] = f"public, max-age={_METRICS_FOR_S}"
    return shown


def _count(conn: DictConnection) -> Row:
    devices = queries.metrics_of_devices(conn)
    good, bad = _counts(queries.metrics_of_datapoints(conn)), _counts(queries.metrics_of_quarantine(conn))
    return {
        "devices": {
            "total": devices["total"],
            "private": devices["private"],
            "test": devices["test"],
            "online": _counts(devices),
            "readings": {"good": good, "bad": bad, "total": good["all_time"] + bad["all_time"]},
        },
        "users": {"total": queries.metrics_of_users(conn), "online": {"now": None}},
    }


def _counts(row: Row) -> Row:
    return {key: row[key] for key in _COUNTS}
