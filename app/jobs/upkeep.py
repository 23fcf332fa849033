"""What keeps tables from growing for ever."""

import logging

from app.config import Config
from sql import connect, queries

log = logging.getLogger(__name__)


def purge_quarantine() -> None:
    """Drop what has been in quarantine for 90 days."""
    with connect(Config.from_env().database_url) as conn:
        log.info("quarantine purged", extra={"rows": queries.delete_old_quarantine(conn)})


def purge_idempotency_keys() -> None:
    """Drop the answers kept for requests that may come again."""
    with connect(Config.from_env().database_url) as conn:
        log.info("idempotency keys purged", extra={"rows": queries.delete_old_idempotency_keys(conn)})
