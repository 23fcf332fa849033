"""What is kept for a time only is there until then, and not for ever after."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from caller import Caller

from app.jobs.accounts import purge_accounts
from app.jobs.exports import purge as purge_exports
from app.jobs.onboarding import purge_orphans
from app.jobs.purges import purge_archived
from app.jobs.upkeep import purge_alerts, purge_device_errors, purge_idempotency_keys, purge_quarantine
from app.jobs.uploads import watch as watch_uploads
from sql import DictConnection

Job = Callable[[], object]

# A table, for how many days after a time a row of it is kept, the job that drops it, and such a row.
KEPT: list[tuple[str, int, Job, str]] = [
    (
        "quarantine",
        90,
        purge_quarantine,
        "(device_id, topic, payload, reason, detail, received_at)"
        " VALUES (%(device)s, 't', '', 'unreadable', '', %(time)s)",
    ),
    (
        "idempotency_keys",
        1,
        purge_idempotency_keys,
        "(device_id, key, request_hash, created_at) VALUES (%(device)s, 'k', %(hash)s, %(time)s)",
    ),
    (
        "device_errors",
        90,
        purge_device_errors,
        "(device_id, code, count, hour, first_time, last_time)"
        " VALUES (%(device)s, 'E1', 1, %(time)s, %(time)s - interval '1 year', %(time)s)",
    ),
    (
        "alerts",
        90,
        purge_alerts,
        "(device_id, kind, about, began_at, ended_at)"
        " VALUES (%(device)s, 'low_battery', '{}', %(time)s - interval '1 year', %(time)s)",
    ),
    ("digests", 90, purge_alerts, "(owner_id, created_at) VALUES (%(user)s, %(time)s)"),
    (
        "webhook_deliveries",
        30,
        purge_alerts,
        "(webhook_id, created_at) SELECT id, %(time)s FROM webhooks WHERE owner_id = %(user)s",
    ),
    (
        "uploads",
        90,
        watch_uploads,
        "(device_id, size, dry_run, state, created_at) VALUES (%(device)s, 0, false, 'finished', %(time)s)",
    ),
    *(
        (
            "exports",
            30,
            purge_exports,
            "(owner_id, device_ids, question, state, created_at, finished_at)"
            f" VALUES (%(user)s, '{{1}}', '{{}}', '{state}', %(time)s - interval '1 year', %(time)s)",
        )
        for state in ("failed", "cancelled")
    ),
    (
        "exports",
        0,
        purge_exports,
        "(owner_id, device_ids, question, state, finished_at, expires_at)"
        " VALUES (%(user)s, '{1}', '{}', 'finished', %(time)s - interval '1 year', %(time)s)",
    ),
    (
        "sessions",
        1,
        purge_accounts,
        "(user_id, scopes, expires_at, revoked_at) VALUES (%(user)s, '{}', 'infinity', %(time)s)",
    ),
    ("sessions", 1, purge_accounts, "(user_id, scopes, expires_at) VALUES (%(user)s, '{}', %(time)s)"),
    (
        "password_resets",
        0,
        purge_accounts,
        "(hash, user_id, expires_at) VALUES (%(hash)s, %(user)s, %(time)s)",
    ),
    (
        "device_purges",
        30,
        purge_archived,
        "(device_id, owner_id, started_at, finished_at)"
        " VALUES (-extract(EPOCH FROM %(time)s)::integer, %(user)s, %(time)s - interval '1 year', %(time)s)",
    ),
    (
        "device_transfers",
        0,
        purge_archived,
        "(device_id, hash, expires_at) VALUES (%(device)s, %(hash)s, %(time)s)",
    ),
    (
        "orphan_devices",
        7,
        purge_orphans,
        "(session_hash, token_hash, token_sealed, created_at, updated_at)"
        " VALUES (%(hash)s, %(hash)s, '', %(time)s - interval '1 year', %(time)s)",
    ),
]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(("table", "days", "job", "row"), KEPT, ids=[row[0] for row in KEPT])
def test_what_has_had_its_time_is_dropped_and_nothing_before(
    user: Caller, conn: DictConnection, table: str, days: int, job: Job, row: str
) -> None:
    user.post("/v0/webhooks", {"url": "https://example.org/"})
    end = datetime.now(UTC) - timedelta(days=days)

    def add(time: datetime) -> None:
        device_id = user.register_device()["id"]
        fields = {"device": device_id, "user": user.user["id"], "hash": secrets.token_bytes(32), "time": time}
        conn.execute(f"INSERT INTO {table} {row}", fields)

    def count() -> int:
        found = conn.execute(f"SELECT count(*) AS n FROM {table}").fetchone()
        assert found is not None
        return int(found["n"])

    job()  # what other tests have left behind
    before = count()
    add(end + timedelta(hours=1))
    job()
    young = count() - before
    add(end - timedelta(hours=1))
    job()
    old = count() - before - young

    assert (young, old) == (1, 0)
