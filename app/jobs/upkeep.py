"""What keeps tables from growing for ever."""

from datetime import timedelta

from app.config import Config
from sql import connect, queries

_ARRIVALS_KEPT_FOR = timedelta(days=1)


def purge_arrivals() -> dict[str, int]:
    """Forget what arrived more than a day ago: who listens, or forwards, has been away for longer."""
    with connect(Config.from_env().database_url) as conn:
        return {"rows": queries.delete_old_arrivals(conn, kept_for=_ARRIVALS_KEPT_FOR)}


def purge_alerts() -> dict[str, int]:
    """Drop alerts that ended 90 days ago, and what is remembered of mails and webhooks."""
    with connect(Config.from_env().database_url) as conn:
        return {
            "alerts": queries.delete_old_alerts(conn),
            "digests": queries.delete_old_digests(conn),
            "deliveries": queries.delete_old_deliveries(conn),
        }


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
