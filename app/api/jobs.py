"""The jobs that keep the platform in order, for its admins."""

from flask import Response
from flask_smorest import Blueprint

from app.api.respond import answer
from app.database import connection
from app.errors import not_found
from app.policy import admins_only
from app.schemas.base import Done
from app.schemas.jobs import Job
from sql import queries

blueprint = Blueprint("jobs", __name__, description="Jobs that come back: checks, purges, refreshes")


@blueprint.get("/admin/jobs")
@blueprint.response(200, Job(many=True))
@admins_only
def index() -> Response:
    """List the jobs that come back, how their newest runs went, and when the next are due."""
    with connection() as conn:
        return answer(queries.jobs_listed(conn))


@blueprint.post("/admin/jobs/<job>/run")
@blueprint.response(202, Done)
@blueprint.alt_response(404, description="there is no such job")
@admins_only
def run(job: str) -> Response:
    """Have a job done at once: again, where it failed; the list then shows how it went."""
    with connection() as conn:
        if not queries.ask_for_job(conn, name=job) and not queries.ask_for_database_job(conn, name=job):
            not_found("job", job)
    return answer({"message": "OK"}, 202)
