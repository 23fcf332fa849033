"""Let live streams know that something has been committed."""

from contextlib import suppress

from flask import current_app, has_app_context
from redis import RedisError

from app.config import Config
from app.jobs.queue import open_queue
from ingestor import bell


def ring() -> None:
    """Make streams look at once; without Redis they do so within a second. A view may call it, and a job."""
    if has_app_context():
        current_app.extensions["bell"].ring()
    else:
        with suppress(RedisError):  # a job's process may end before a thread of its own has rung
            bell.ring(open_queue(Config.from_env().redis_url).connection)
