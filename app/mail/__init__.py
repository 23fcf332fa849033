"""The mails of the platform: `send_later("export_finished", to, …)` queues one, a worker writes and sends it.

A mail is two files of templates/mail/: NAME.txt, whose first line is its subject, and NAME.html. Both get the values
given here and `public_url`, the platform's address.
"""

from typing import Any
from uuid import uuid4

from rq import Retry

from app.jobs.queue import enqueue

# Ten tries in two days: longer than a mail server's bad weekend evening, shorter than a mail's use.
RETRY_AFTER_S = [10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600]
_FAILURE_TTL_S = 7 * 24 * 3600  # a failed mail stays in the queue's list of failures


def send_later(template: str, to: str, *, mail_id: str | None = None, **values: Any) -> None:
    """Let a worker send a mail, and try again while the mail server is away; the values must be fit for JSON.

    `mail_id`: the same one is sent once, however often this is called. With the value `off_url`, where one click ends
    mails of its kind, mail programs show a button for that. Call it after the transaction that the mail speaks of has
    committed. Raises redis.RedisError.
    """
    job_id = f"mail-{mail_id or uuid4().hex}"
    retry = Retry(max=len(RETRY_AFTER_S), interval=RETRY_AFTER_S)
    enqueue("mail.deliver", template, to, values, job_id=job_id, retry=retry, failure_ttl=_FAILURE_TTL_S)
