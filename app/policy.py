"""Who may read or write what: the one place that says so."""

from app.auth import current_user
from sql import Row


def may_read(device: Row) -> bool:
    """Whether the asking user may see this device and its readings: it is public, theirs, or they are an admin."""
    return not device["is_private"] or owns(device)


def owns(device: Row) -> bool:
    """Whether the asking user may change this device: it is theirs, or they are an admin."""
    user = current_user()
    return user is not None and (user["role"] == "admin" or user["id"] == device["owner_id"])
