"""Is it alive, and can it serve?"""

import psycopg
from flask import Response
from flask_smorest import Blueprint
from psycopg_pool import PoolTimeout

from app.api.respond import answer
from app.database import connection
from app.errors import envelope
from app.schemas.health import Health
from sql import migrate, queries

blueprint = Blueprint("health", __name__, description="Health")


@blueprint.get("/healthz")
@blueprint.response(200, Health)
def alive() -> Response:
    """Tell that the process answers."""
    return answer({"status": "ok"})


@blueprint.get("/readyz")
@blueprint.response(200, Health)
@blueprint.alt_response(503, description="the database is away, or its schema is not the one of this release")
def ready() -> Response:
    """Tell whether requests can be served."""
    try:
        with connection() as conn:
            applied = set(queries.migrated(conn) or ())
    except (psycopg.Error, PoolTimeout) as error:
        return envelope(503, f"the database does not answer: {type(error).__name__}")
    missing = [name for name in migrate.available() if name not in applied]
    if missing:
        return envelope(503, f"{missing[0]} is not applied to the database: run `almanac migrate`")
    return answer({"status": "ok"})
