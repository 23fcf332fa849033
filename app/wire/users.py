"""Users as JSON."""

from app.wire import FILTERED
from sql import Row


def user_json(user: Row, *, own: bool) -> Row:
    """Return a User; `own`: the reader is that user or an admin."""
    return {
        "id": user["id"],
        "uuid": user["uuid"],
        "role": user["role"],
        "username": user["username"],
        "profile_picture": "",
        "url": user["url"],
        "location": place_json(user["city"], user["country_code"]),
        "updated_at": user["updated_at"],
        "email": user["email"] if own else FILTERED,
    }


def place_json(city: str | None, country_code: str | None) -> Row:
    return {"city": city, "country": None, "country_code": country_code}
