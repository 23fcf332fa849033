"""Is it alive, and can it serve?"""

import psycopg
from flask import Response, current_app
from flask_smorest import Blueprint
from psycopg_pool import PoolTimeout

from app.api.respond import answer
from app.database import connection
from app.errors import envelope
from app.jobs import queue
from app.schemas.health import Health, Readiness
from sql import readiness
from sql.readiness import OK

blueprint = Blueprint("health", __name__, description="Health")


@blueprint.get("/healthz")
@blueprint.response(200, Health)
def alive() -> Response:
    """Tell that the process answers."""
    return answer({"status": "ok"})


@blueprint.get("/readyz")
@blueprint.response(200, Readiness)
@blueprint.alt_response(503, description="the database is away, or its schema is not the one of this release")
def ready() -> Response:
    """Tell whether requests can be served.

    Without Redis they are, but for sign-ins and what needs a worker: that is `degraded`, and no 503, which would take
    every process of the API away at once.
    """
    try:
        with connection() as conn:
            schema = readiness.schema(conn)
    except (psycopg.Error, PoolTimeout) as error:
        return envelope(503, f"the database does not answer: {type(error).__name__}")
    if schema != OK:
        return envelope(503, schema)
    redis = queue.ping(current_app.extensions["queue"])
    return answer({"status": OK if redis == OK else "degraded", "database": OK, "redis": redis})
