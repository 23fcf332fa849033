"""Look for what is wrong with devices, and let mails tell their owners."""

from datetime import UTC, datetime

from app.alerts import (
    MOST_IN_A_MAIL,
    check_batteries,
    check_errors,
    check_sensors,
    check_silence,
    off_url,
    sentence,
    subject_of,
)
from app.config import Config
from app.mail import send_later
from sql import DictConnection, connect, queries


def check() -> dict[str, int]:
    """Find what has begun or ended since the last run, and tell it."""
    config, now = Config.from_env(), datetime.now(UTC)
    with connect(config.database_url) as conn:
        found = {**check_silence(conn, now), **check_batteries(conn, now), **check_errors(conn, now)}
        return {**found, "mails": mail(conn, config, now)}


def check_faults() -> dict[str, int]:
    """Find which sensors are stuck or out of their range, or no longer; the next `check` tells it."""
    with connect(Config.from_env().database_url) as conn:
        return check_sensors(conn, datetime.now(UTC))


def mail(conn: DictConnection, config: Config, now: datetime) -> int:
    """Put what no mail tells of yet into one mail an owner, and return how many are on their way.

    One that is cut off here is queued again by the next run, under the same id, and sent once.
    """
    queries.make_digests(conn, now=now)
    digests = queries.unsent_digests(conn)
    for digest in digests:
        items = queries.digest_items(conn, id=digest["id"])
        if items:  # else their devices are gone
            send_later(
                "alerts",
                digest["email"],
                mail_id=f"digest-{digest['id']}",
                username=digest["username"],
                title=subject_of(items),
                sentences=[sentence(item) for item in items[:MOST_IN_A_MAIL]],
                more=max(0, len(items) - MOST_IN_A_MAIL),
                off_url=off_url(config.public_url, config.secret_key, digest["id"]),
            )
        queries.note_digest_queued(conn, id=digest["id"])
    return len(digests)
