"""Send webhooks what they are to be told, in turns, and leave alone those that do not take it."""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.alerts import sentence
from app.config import Config
from app.mail import send_later
from app.sealing import unseal
from app.webhooks.sending import DEADLINE_S, SendError, post
from app.webhooks.signature import signed_headers
from sql import DictConnection, Row, connect, queries

log = logging.getLogger(__name__)

# After so many failures in a row. One more, two days after the first, and the webhook is disabled.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 2 * 60, 6 * 60, 12 * 60, 24 * 60)]
_LEASE_S = 4 * DEADLINE_S  # a worker that dies while it sends leaves this to be sent again
_STINT_S = 50.0  # then other jobs have their turn, until the next minute


def deliver() -> dict[str, int]:
    """Send what is due, for a minute at most."""
    config = Config.from_env()
    deadline = time.monotonic() + _STINT_S
    counts = {"delivered": 0, "failed": 0}
    with connect(config.database_url) as conn:
        while time.monotonic() < deadline:
            delivery = queries.claim_delivery(conn, now=datetime.now(UTC), lease_s=_LEASE_S)
            if delivery is None:
                break
            counts["delivered" if _deliver(conn, config, delivery) else "failed"] += 1
    return counts


def body_of(delivery: Row) -> bytes:
    """Return what is sent: a notification, or that somebody tries it out."""
    body: dict[str, Any] = {"type": "test", "timestamp": delivery["told_at"], "data": {"message": "It works."}}
    if delivery["kind"] is not None:
        body["type"] = f"{delivery['kind']}.{delivery['phase']}"
        body["data"] = {
            "alert_id": delivery["alert_id"],
            "device": {"id": delivery["device_id"], "name": delivery["device_name"]},
            "subject": delivery["subject"] or None,
            "message": sentence(delivery),
            "details": delivery["about"],
            "began_at": delivery["began_at"],
            "ended_at": delivery["ended_at"],
        }
    return orjson.dumps(body, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)


def _deliver(conn: DictConnection, config: Config, delivery: Row) -> bool:
    """Send one, note what became of it, and return whether it was taken."""
    this = {"id": delivery["id"], "webhook_id": delivery["webhook_id"]}
    status, error = None, None
    try:
        body = body_of(delivery)
        keys = _keys(delivery, config.secret_key)
        signed = signed_headers(keys, str(delivery["uuid"]), int(time.time()), body)
        status = post(delivery["url"], {"Content-Type": "application/json", "User-Agent": "Almanac", **signed}, body)
        if not 200 <= status < 300:
            error = f"it answered {status}"
            if 300 <= status < 400:
                error += ", but redirects are not followed: give the address that they lead to"
    except SendError as failure:
        error = str(failure)
    if error is None:
        queries.note_delivered(conn, **this, status=status)
        return True
    failures = delivery["failures"]
    is_over = delivery["attempts"] > len(PAUSES)
    reason = None
    if status == 410:
        reason = "it answered 410: it is gone"
    elif failures >= len(PAUSES):
        reason = f"{failures + 1} failures in a row, the last: {error}"
    queries.note_not_delivered(
        conn,
        **this,
        status=status,
        error=error,
        state="failed" if is_over or reason else "pending",
        due_at=datetime.now(UTC) + PAUSES[min(failures, len(PAUSES) - 1)],
        disabled_reason=reason,
    )
    log.info("not delivered", extra={**this, "status": status, "disabled": reason is not None})
    if reason is not None:
        about = {"username": delivery["username"], "url": delivery["url"], "reason": reason, "id": this["webhook_id"]}
        send_later("webhook_disabled", delivery["email"], mail_id=f"webhook-{delivery['uuid']}", **about)
    return False


def _keys(delivery: Row, secret_key: str) -> list[str]:
    """Return the secrets that sign. Raises SendError."""
    pairs = [(delivery["secret_hash"], delivery["secret_sealed"])]
    if delivery["old_secret_hash"] is not None:
        pairs.append((delivery["old_secret_hash"], delivery["old_secret_sealed"]))
    keys = [unseal(bytes(sealed), bytes(secret_hash), secret_key) for secret_hash, sealed in pairs]
    if keys[0] is None:
        raise SendError("its secret was sealed with another SECRET_KEY of this platform: make another secret")
    return [key for key in keys if key is not None]
