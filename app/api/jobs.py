"""What workers do, for the platform's admins: the jobs that keep it in order, and mails that could not be sent."""

from flask import Response, current_app
from flask_smorest import Blueprint

from app.api.respond import answer
from app.database import connection
from app.errors import not_found
from app.mail import failed
from app.policy import admins_only
from app.schemas.base import Done
from app.schemas.jobs import FailedMail, Job
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


@blueprint.get("/admin/failed_mails")
@blueprint.response(200, FailedMail(many=True))
@admins_only
def failed_mails() -> Response:
    """List the mails that were given up within the last week, with the reason; the newest is first."""
    return answer(failed.listed(current_app.extensions["queue"]))


@blueprint.post("/admin/failed_mails/<mail_id>/send")
@blueprint.response(202, Done)
@blueprint.alt_response(404, description="no such mail has failed")
@admins_only
def send_failed_mail(mail_id: str) -> Response:
    """Have a mail that was given up sent, once what was in its way is mended."""
    if not failed.send(current_app.extensions["queue"], mail_id):
        not_found("failed mail", mail_id)
    return answer({"message": "OK"}, 202)
