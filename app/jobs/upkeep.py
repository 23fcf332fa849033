"""What keeps tables from growing for ever."""

from app.config import Config
from sql import connect, queries


def purge_quarantine() -> dict[str, int]:
    """Drop what has been in quarantine for 90 days."""
    with connect(Config.from_env().database_url) as conn:
        return {"rows": queries.delete_old_quarantine(conn)}


def purge_device_errors() -> dict[str, int]:
    """Drop errors of devices that have not come again for 90 days."""
    with connect(Config.from_env().database_url) as conn:
        return {"rows": queries.delete_old_device_errors(conn)}


def purge_idempotency_keys() -> dict[str, int]:
    """Drop the answers kept for requests that may come again."""
    with connect(Config.from_env().database_url) as conn:
        return {"rows": queries.delete_old_idempotency_keys(conn)}
