"""The mails that were given up: the queue keeps them for a week."""

from typing import Any

from rq import Queue
from rq.exceptions import InvalidJobOperation
from rq.job import Job

_DELIVER = "app.jobs.mail.deliver"
_OF_A_DEATH = ("AbandonedJobError", "Work-horse terminated")  # what RQ says where a job has raised nothing


def listed(queue: Queue) -> list[dict[str, Any]]:
    """Return them without what they say, which may be secret; the newest first. Raises redis.RedisError."""
    ids = queue.failed_job_registry.get_job_ids(desc=True)
    jobs = Job.fetch_many(ids, connection=queue.connection, serializer=queue.serializer)
    return [_shown(job) for job in jobs if job and job.func_name == _DELIVER]


def send(queue: Queue, mail_id: str) -> bool:
    """Queue one of them again, with no more than one try; whether there is such a mail. Raises redis.RedisError."""
    try:
        job = queue.fetch_job(mail_id)
        if job is None or job.func_name != _DELIVER:
            return False
        queue.failed_job_registry.requeue(job)
    except (InvalidJobOperation, ValueError):  # ValueError: no job of RQ's has such an id
        return False
    return True


def _shown(job: Job) -> dict[str, Any]:
    template, to, _ = job.args
    result = job.latest_result()
    error = (result.exc_string or "").strip().rpartition("\n")[2] if result else ""
    if not error or any(words in error for words in _OF_A_DEATH):
        error = "its worker died"
    return {
        "id": job.id,
        "template": template,
        "to": to,
        "failed_at": job.ended_at,
        "error": error.rpartition("app.mail.errors.")[2],
    }
