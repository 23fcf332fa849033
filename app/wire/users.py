"""Users as JSON."""

from collections.abc import Iterable

from app.location import country_name
from app.wire import FILTERED
from app.wire.bare_devices import bare_device_json
from sql import Row


def user_json(user: Row, devices: Iterable[Row], *, own: bool, owns_devices: bool = False) -> Row:
    """Return a User with rows of devices; `own`, `owns_devices`: the reader may see all of the account, of the devices.

    The last three fields before `devices` are there because clients look for them: we have no legacy keys, and a token
    is shown when it is made, never again.
    """
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
        "legacy_api_key": FILTERED,
        "forwarding_token": FILTERED,
        "forwarding_username": FILTERED,
        "devices": [_device(device, own=owns_devices) for device in devices],
    }


def _device(device: Row, *, own: bool) -> Row:
    shown = bare_device_json(device, own=own)
    if not own:
        del shown["location"]
    return {**shown, "experiment_ids": device["experiment_ids"]}


def place_json(city: str | None, country_code: str | None) -> Row:
    return {"city": city, "country": country_name(country_code), "country_code": country_code}
