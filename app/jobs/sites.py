"""What a site's workers do for the others: send what follows from what came, drop what has arrived, tell people."""

import logging

from app.config import Config
from app.mail import send_later
from sql import DictConnection, connect, queries

log = logging.getLogger(__name__)


def tend() -> dict[str, int]:
    """Do what there is to do; where there are no sites, nothing."""
    with connect(Config.from_env().database_url) as conn:
        if queries.site(conn) is None:
            return {}
        return {**tend_replication(conn), "accounts_told": _tell_accounts(conn)}


def tend_replication(conn: DictConnection) -> dict[str, int]:
    """Send what follows from what was received, and drop what every other site has."""
    sent = queries.send_pending_changes(conn)
    pruned = queries.prune_outbox(conn) + queries.prune_changes(conn)
    queries.delete_old_tombstones(conn)
    return {"sent": sent, "pruned": pruned}


def _tell_accounts(conn: DictConnection) -> int:
    """Tell those whose name or address an older account had: at the address that they signed up with."""
    told = queries.account_changes_to_tell(conn)
    for row in told:
        to = row["given_up"] if row["field"] == "email" else row["email"]
        send_later("account_renamed", to, username=row["username"], email=row["email"], given_up=row["given_up"])
        queries.delete_account_change_to_tell(conn, user_id=row["user_id"], field=row["field"])
    return len(told)
