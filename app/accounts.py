"""Accounts: made, changed, put in the trash and taken out of it. Raises what is wrong; knows nothing of HTTP."""

from typing import Any

import psycopg

from app.device_changes import restore_device
from app.passwords import hash_password, weakness
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries


class FieldError(ValueError):
    """A field cannot be what it should become; names the field, and says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def create_account(conn: DictConnection, *, password: str, **fields: Any) -> int:
    """Make an account from the fields of SignUp and a role, and return its id. Raises FieldError."""
    fields = {"role": "citizen", "city": None, "country_code": None, "url": None, **fields}
    password_hash = _hash(password, fields)
    try:
        user_id: int = queries.insert_user(conn, password_hash=password_hash, **fields)
    except psycopg.errors.UniqueViolation as error:
        raise _taken(error) from None
    return user_id


def change_account(conn: DictConnection, user: Row, fields: dict[str, Any], session_id: object = None) -> bool:
    """Change the fields given, those of UserChanges. Raises FieldError, and then nothing has changed.

    False: the account has been closed meanwhile.

    A new password ends the user's sessions, but for the one that changes it: whoever else had the old one is out.
    """
    password = fields.pop("password", None)
    password_hash = _hash(password, {**user, **fields}) if password is not None else None
    with conn.transaction():
        before = queries.user_to_change(conn, id=user["id"])
        if before is None:
            return False
        keys = ("username", "email", "role", "city", "country_code", "url")
        try:
            queries.update_user(conn, id=user["id"], **{key: fields.get(key, before[key]) for key in keys})
        except psycopg.errors.UniqueViolation as error:
            raise _taken(error) from None
        if password_hash is not None:
            _set_password(conn, user["id"], password_hash, session_id)
    return True


def use_password_reset(conn: DictConnection, token: str, password: str) -> Row | None:
    """Set the password of a mailed link's account and return that, None for a useless link. Raises FieldError."""
    user: Row | None = queries.user_by_password_reset(conn, hash=hash_token(token))
    if user is None:
        return None
    password_hash = _hash(password, user)
    with conn.transaction():
        if not queries.delete_password_reset(conn, hash=hash_token(token)):
            return None
        _set_password(conn, user["id"], password_hash)
    return user


def _set_password(conn: DictConnection, user_id: int, password_hash: str, but_session: object = None) -> None:
    queries.set_password_hash(conn, id=user_id, password_hash=password_hash)
    queries.revoke_sessions_of_user(conn, user_id=user_id, but=but_session)
    queries.delete_password_resets_of_user(conn, user_id=user_id)


def archive_account(conn: DictConnection, user_id: int) -> None:
    """Put an account and its devices in the trash, where an admin can take them out of for 30 days."""
    with conn.transaction():
        queries.hold_devices_of_user(conn, user_id=user_id)
        queries.archive_user(conn, id=user_id)
        queries.archive_devices_of_user(conn, user_id=user_id)
        queries.revoke_sessions_of_user(conn, user_id=user_id, but=None)


def restore_account(conn: DictConnection, user_id: int) -> bool:
    """Take an account out of the trash, with the devices that went there with it; its owner has to sign in anew.

    False: it has been deleted meanwhile.
    """
    with conn.transaction():
        queries.hold_devices_of_user(conn, user_id=user_id)  # from a purge that begins meanwhile
        for device in queries.devices_archived_with_owner(conn, user_id=user_id):
            restore_device(conn, device["id"])
        return bool(queries.restore_user(conn, id=user_id))


def _hash(password: str, fields: dict[str, Any]) -> str:
    """Hash a password that will do; outside of transactions, for it takes its time. Raises FieldError."""
    if reason := weakness(password, fields["username"], fields["email"]):
        raise FieldError("password", reason)
    return hash_password(password)


def _taken(error: psycopg.errors.UniqueViolation) -> FieldError:
    return FieldError("email" if error.diag.constraint_name == "users_email_key" else "username", "is taken")
