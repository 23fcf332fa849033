"""What onboarding leaves to be done later."""

import logging

from app.adoption import adopt
from app.bell import ring
from app.config import Config
from sql import connect, queries

log = logging.getLogger(__name__)


def purge_orphans() -> dict[str, int]:
    """Forget the devices that nobody has gone on to set up for a week."""
    with connect(Config.from_env().database_url) as conn:
        return {"rows": queries.delete_old_orphans(conn)}


def adopt_overtaken() -> None:
    """Store the messages that were still on their way into quarantine when their token became a device's."""
    with connect(Config.from_env().database_url) as conn:
        for row in queries.overtaken_tokens(conn):
            messages = adopt(conn, row["device_id"], bytes(row["hash"]), row["created_at"])
            ring()
            log.info("messages adopted", extra={"device_id": row["device_id"], "messages": messages})
