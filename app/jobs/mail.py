"""Send a queued mail; app.mail queues it, and app.mail.failed knows those that were given up."""

import logging
from typing import Any

from rq import get_current_job

from app.config import Config
from app.jobs.queue import open_queue
from app.mail.errors import RefusedMailError
from app.mail.message import write
from app.mail.smtp import send

log = logging.getLogger(__name__)

_REMEMBERED_S = 7 * 24 * 3600  # longer than all retries


def deliver(template: str, to: str, values: dict[str, Any]) -> None:
    """Send a mail once. Raises MailError, for RQ to try again, unless the server has refused the mail for good.

    A worker that dies between the server's answer and this job's end leaves the job to be done again, so what was
    sent is noted first of all. Only a death within the moment between answer and note mails twice, and then under
    one Message-ID.
    """
    job = get_current_job()
    if job is None:
        raise RuntimeError("a mail is sent by a worker: call app.mail.send_later")
    config = Config.from_env()
    redis, note = open_queue(config.redis_url).connection, f"almanac:sent:{job.id}"
    if redis.exists(note):
        return
    try:
        send(config.mail_url, write(config, template, to, values, job.id))
    except RefusedMailError:
        job.retries_left = 0
        raise
    redis.set(note, 1, ex=_REMEMBERED_S)
    log.info("mail sent", extra={"template": template, "mail_id": job.id})
