"""The queue between the API and the workers, in Redis."""

from typing import Any

from flask import current_app, has_app_context
from redis import Redis, RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from app.config import Config
from sql.readiness import OK


def open_queue(redis_url: str) -> Queue:
    """Return the queue; nothing connects before it is used.

    Jobs travel as JSON, not as RQ's pickle: whoever can write to Redis must not run code here.
    """
    connection = Redis.from_url(redis_url, socket_connect_timeout=2, health_check_interval=30)
    return Queue("default", connection=connection, serializer=JSONSerializer)


def ping(queue: Queue) -> str:
    """Return `ok`, or what is wrong with Redis."""
    try:
        queue.connection.ping()
    except RedisError as error:
        return f"Redis does not answer: {type(error).__name__}"
    return OK


def enqueue(job: str, *arguments: Any, **options: Any) -> Job:
    """Let a worker call a function of app.jobs, named with its module, with arguments that JSON can hold.

    A view may call it, and a job. Call it after the transaction that the job looks at has committed. Raises
    redis.RedisError.
    """
    queue: Queue = current_app.extensions["queue"] if has_app_context() else open_queue(Config.from_env().redis_url)
    # RQ logs a job's description, by default with its arguments, and those may be secrets.
    enqueued: Job = queue.enqueue(f"app.jobs.{job}", *arguments, description=job, **options)
    return enqueued
