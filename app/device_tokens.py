"""Make the tokens by which devices are known."""

import secrets
import string
from datetime import datetime

from environs import FileAwareEnv
from flask import current_app, has_app_context

from app.sealing import seal
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32
MOST_TOKENS = 10  # of one device: each is a login of the broker's
# A shorter token can be guessed: it opens only the broker's door for kits, where it may only write.
_SHORTEST_LOGIN = 16


def new_token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def add_token(conn: DictConnection, device_id: int, token: str, expires_at: datetime | None = None) -> Row | None:
    """Let a device be known by a token, and return its row; None where somebody has that token already.

    From 16 characters on the device may log in at the broker with it, within a second of the commit.
    """
    sealed = seal(token, _secret_key()) if len(token) >= _SHORTEST_LOGIN else None
    row: Row | None = queries.insert_device_token(
        conn, device_id=device_id, hash=hash_token(token), sealed=sealed, expires_at=expires_at
    )
    return row


def has_room(conn: DictConnection, device_id: int) -> bool:
    """Whether a device may have one token more; of two requests at once that hold it the second counts the first."""
    return len(queries.tokens_of_device(conn, device_id=device_id)) < MOST_TOKENS


def _secret_key() -> str:
    if has_app_context():
        return str(current_app.extensions["config"].secret_key)
    return FileAwareEnv(strip_whitespace=True).str("SECRET_KEY")
