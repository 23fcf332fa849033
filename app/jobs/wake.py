"""Wake a worker up for what a table says is to be done. Light, so that the API need not load what the job does."""

import logging
from contextlib import suppress

from redis import RedisError
from rq.exceptions import DuplicateJobError

from app.jobs.queue import enqueue

log = logging.getLogger(__name__)

_LONGEST_S = 24 * 3600


def wake_export(kind: str, export_id: int, attempt: int) -> None:
    """Let a worker `run` or `mail` an export, unless one is going to already."""
    _wake(f"exports.{kind}", export_id, f"export-{kind}-{export_id}-{attempt}")


def wake_archive(archive_id: int) -> None:
    """Let a worker publish what an archive lacks, unless one is going to already."""
    _wake("archives.publish", archive_id, f"archive-{archive_id}")


def wake_upload(upload_id: int) -> None:
    """Let a worker read an upload, unless one is going to already."""
    _wake("uploads.run", upload_id, f"upload-{upload_id}")


def wake_purge(device_id: int) -> None:
    """Let a worker delete a device, unless one is going to already."""
    _wake("purges.purge_device", device_id, f"purge-{device_id}")


def _wake(job: str, thing_id: int, job_id: str) -> None:
    """Without Redis nothing is lost: the periodic `watch` does it once Redis is back."""
    try:
        with suppress(DuplicateJobError):
            enqueue(
                job,
                thing_id,
                job_id=job_id,
                unique=True,
                job_timeout=_LONGEST_S,
                result_ttl=0,  # a job that is kept would stand in the way of the next one of its name
                failure_ttl=60,
            )
    except RedisError:
        log.warning("no worker woken up", extra={"job": job_id}, exc_info=True)
