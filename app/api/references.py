"""Things that a path names by their id or by another name."""

from app.schemas.base import LARGEST_ID


def id_in(reference: str) -> int | None:
    """Return the id that a reference is; None where it can only be a name."""
    is_id = reference.isascii() and reference.isdecimal() and len(reference) <= 10 and int(reference) <= LARGEST_ID
    return int(reference) if is_id else None
