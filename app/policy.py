"""Who may read or write what: the one place that says so.

Rows of devices need `owner_id` and `is_private` only. For one device at hand:

    require_readable(device)            403 unless the asking user may see it
    require_owner(device)               403 unless they may change it
    may_read(device), owns(device)      the same as a question
    sees(user, device)                  and of a user who asked a while ago: a live stream

For queries that return many, `**viewer()` gives the parameters `viewer_id` (null for nobody) and `viewer_is_admin`, and
the function `device_visible` of the database is the rule:

    WHERE device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)

What rests on a device follows it: its readings, components, exports, its place in lists, counts, searches and
experiments. An archived device is there for nobody: queries leave it out, views answer 404 to all.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypedDict, TypeVar

from flask_smorest import Blueprint

from app.auth import current_user
from app.errors import refuse
from app.openapi import SIGNED_IN
from sql import Row

P = ParamSpec("P")
T = TypeVar("T")


class Viewer(TypedDict):
    """Who looks, as parameters of a query."""

    viewer_id: int | None
    viewer_is_admin: bool


NOBODY: Viewer = {"viewer_id": None, "viewer_is_admin": False}


def viewer() -> Viewer:
    """Return the asking user as parameters of a query."""
    user = current_user()
    return {"viewer_id": user["id"] if user else None, "viewer_is_admin": is_admin()}


def may_read(device: Row) -> bool:
    """Whether the asking user may see this device and its readings: it is public, theirs, or they are an admin."""
    return not device["is_private"] or owns(device)


def sees(user: Row | None, device: Row) -> bool:
    """The same for a given user, None for nobody."""
    return not device["is_private"] or _owns(user, device)


def owns(thing: Row) -> bool:
    """Whether the asking user may change this thing, and see what only owners see: it is theirs, or they are an admin.

    A device, an experiment or an export: whatever has an `owner_id`.
    """
    return _owns(current_user(), thing)


def _owns(user: Row | None, thing: Row) -> bool:
    return user is not None and (user["role"] == "admin" or user["id"] == thing["owner_id"])


def may_change_user(user_id: int) -> bool:
    """Whether the asking user may see and change all of this account: it is theirs, or they are an admin."""
    user = current_user()
    return user is not None and (user["role"] == "admin" or user["id"] == user_id)


def is_admin() -> bool:
    """Whether the asking user is an admin: who changes the catalogue, and anybody's things."""
    user = current_user()
    return user is not None and user["role"] == "admin"


def is_researcher() -> bool:
    """Whether the asking user is a researcher or an admin: who forwards and postprocesses their own devices."""
    user = current_user()
    return user is not None and user["role"] in ("researcher", "admin")


def require_readable(device: Row) -> None:
    """Refuse with 403 who may not see this device."""
    if not may_read(device):
        refuse(403, f"device {device['id']} is private")


def require_owner(thing: Row, what: str = "device") -> None:
    """Refuse with 403 who may not change this thing."""
    if not owns(thing):
        refuse(403, f"{what} {thing['id']} is not yours")


def require_admin() -> None:
    """Refuse with 403 who is not an admin."""
    if not is_admin():
        refuse(403, "only an admin may do this")


def admins_only(view: Callable[P, T]) -> Callable[P, T]:
    """Let a view be called by admins only; everybody else gets 403. The OpenAPI document says so too."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        require_admin()
        return view(*args, **kwargs)

    refusal = {"403": {"description": "only an admin may do this"}}
    documented: Callable[P, T] = Blueprint.doc(security=SIGNED_IN, responses=refusal)(wrapped)
    return documented


def require_researcher() -> None:
    """Refuse with 403 who is neither a researcher nor an admin."""
    if not is_researcher():
        refuse(403, "only a researcher or an admin may do this")
