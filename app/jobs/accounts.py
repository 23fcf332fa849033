"""What accounts need done in the background: the mail for a forgotten password, and the purge of the trash."""

import logging
import secrets

import psycopg
from redis import RedisError
from rq import Retry

from app.config import Config
from app.jobs.mail import deliver
from app.jobs.queue import enqueue
from app.mail import send_later
from ingestor.tokens import hash_token
from sql import Row, connect, queries

log = logging.getLogger(__name__)

_RETRY_AFTER_S = [10, 60, 300, 900]  # nobody waits longer for this mail


def mail_account_changed(user: Row, what: str) -> None:
    """Tell the user, at the address that they had, of a change that a thief would make."""
    try:
        send_later("account_changed", user["email"], username=user["username"], what=what)
    except RedisError:
        log.exception("no mail about a change", extra={"user_id": user["id"], "what": what})


def request_password_reset(login: str) -> None:
    """Let a worker mail the link to choose another password, if there is such an account. Raises redis.RedisError.

    The look-up is the worker's too, so that the time an answer takes does not tell whether there is one; and the link
    is made there, so that it never lies in the queue.
    """
    retry = Retry(max=len(_RETRY_AFTER_S), interval=_RETRY_AFTER_S)
    enqueue("accounts.send_password_reset", login, retry=retry, failure_ttl=3600)


def send_password_reset(login: str) -> None:
    """Mail the link to choose another password. Raises MailError, for RQ to try again."""
    token = secrets.token_urlsafe(32)
    config = Config.from_env()
    with connect(config.database_url) as conn:
        user = queries.user_by_login(conn, login=login)
        if user is None:
            log.info("password reset asked for, but there is no such account")
            return
        queries.insert_password_reset(conn, hash=hash_token(token), user_id=user["id"])
    link = f"{config.public_url}/ui/password_reset/{token}"
    deliver("password_reset", user["email"], {"username": user["username"], "link": link})


def purge_accounts() -> dict[str, int]:
    """Delete the accounts that have been in the trash for 30 days, and what sessions and resets have left behind.

    Their devices go first: an account that still owns one, or something else that must not go with it, waits.
    """
    with connect(Config.from_env().database_url) as conn:
        users = queries.users_to_purge(conn)
        for user in users:
            try:
                queries.delete_user(conn, id=user["id"])
            except psycopg.errors.ForeignKeyViolation:
                log.exception("account not purged", extra={"user_id": user["id"]})
        sessions = queries.delete_old_sessions(conn)
        resets = queries.delete_old_password_resets(conn)
        queries.delete_old_authorization_codes(conn)
    return {"accounts": len(users), "sessions": sessions, "password_resets": resets}
