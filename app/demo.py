"""A user and a kit to try the platform with."""

import secrets

from app.device_changes import register_device
from app.passwords import hash_password
from ingestor.tokens import hash_token
from sql import DictConnection, queries

_KIT = "sck:2,1"
_PLACE = {"latitude": 41.39699, "longitude": 2.19456, "elevation": 12.0}  # Barcelona, Poblenou


def make_demo(conn: DictConnection, token: str) -> int:
    """Return the id of the demonstration kit that is known by this token; make it where it does not exist yet."""
    with conn.transaction():
        known: int | None = queries.device_id_of_token(conn, hash=hash_token(token))
        if known is not None:
            return known
        user = queries.user_by_login(conn, login="demo")
        owner_id = user["id"] if user else _make_user(conn)
        return register_device(
            conn,
            token,
            owner_id=owner_id,
            kit_id=queries.kit_by_reference(conn, id=None, uuid=None, slug=_KIT)["id"],
            name="Demonstration kit",
            description="A simulated kit",
            exposure="outdoor",
            **_PLACE,
        )


def _make_user(conn: DictConnection) -> int:
    user_id: int = queries.insert_user(
        conn,
        username="demo",
        email="demo@example.org",
        password_hash=hash_password(secrets.token_urlsafe()),  # nobody signs in as demo
        role="citizen",
        city="Barcelona",
        country_code="ES",
        url=None,
    )
    return user_id
