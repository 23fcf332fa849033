"""Show users with their devices: three queries, however many users.

A token that is good for devices alone shows no address, and one for the account alone no private device or exact place.
"""

from collections.abc import Sequence

from app.auth import holds
from app.policy import NOBODY, Viewer, may_change_user, viewer
from app.wire.users import user_json
from sql import DictConnection, Row, queries


def show_users(conn: DictConnection, users: Sequence[Row]) -> list[Row]:
    """Return Users as the asking user may see them."""
    account, devices = holds("account"), holds("devices:read")
    return [
        user_json(user, theirs, own=own and account, owns_devices=own and devices)
        for user, theirs in zip(users, _devices(conn, users, viewer()), strict=True)
        for own in [may_change_user(user["id"])]
    ]


def show_own(conn: DictConnection, user_id: int) -> Row:
    """Return a User as they see themselves, as far as the asking token lets them."""
    user, sees = queries.user_by_id(conn, id=user_id), holds("devices:read")
    who: Viewer = {"viewer_id": user_id, "viewer_is_admin": False} if sees else NOBODY
    (devices,) = _devices(conn, [user], who)
    return user_json(user, devices, own=True, owns_devices=sees)


def _devices(conn: DictConnection, users: Sequence[Row], who: Viewer) -> list[list[Row]]:
    of_user: dict[int, list[Row]] = {user["id"]: [] for user in users}
    ids = queries.devices_of_owners(conn, owner_ids=list(of_user), **who) if users else []
    for device in queries.devices_by_ids(conn, ids=[row["id"] for row in ids]) if ids else []:
        of_user[device["owner_id"]].append(device)
    return list(of_user.values())
