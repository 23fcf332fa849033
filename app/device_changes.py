"""Register devices and describe them anew."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from app.device_configs import add_first_config
from app.device_tokens import MOST_TOKENS, add_token, has_room
from app.errors import invalid, not_found
from app.location import Place, blurred, city_of, geohash, rounded
from ingestor.tokens import hash_token
from sql import DictConnection, Row, queries

_PLAIN = (
    "name",
    "description",
    "exposure",
    "elevation",
    "is_private",
    "is_test",
    "precise_location",
    "notify_low_battery",
    "notify_stopped_publishing",
    "notify_faulty_sensors",
    "notify_errors",
    "mac_address",
    "hardware_name_override",
    "hardware_type_override",
    "hardware_version_override",
    "hardware_slug_override",
    "enable_forwarding",
    "forwarding_destination_id",
)


def register_device(
    conn: DictConnection, token: str, *, owner_id: int, name: str, kit_id: int | None = None, **fields: Any
) -> int:
    """Make a device with its kit's components and its token, and return its id; call it in a transaction.

    `fields` are those of DeviceChanges. Refuses what cannot be with 404 or 422.
    """
    require_account(conn, owner_id)
    if kit_id is not None and not queries.kit_exists(conn, id=kit_id):
        invalid(422, kit_id=f"there is no kit {kit_id}")
    device_id: int = queries.insert_device(conn, owner_id=owner_id, kit_id=kit_id, name=name)
    queries.insert_components_of_kit(conn, device_id=device_id)
    add_first_config(conn, device_id)
    if add_token(conn, device_id, token) is None:
        invalid(422, device_token="another device has it")  # noqa: S106 - a reason, not a password
    if fields:
        change_device(conn, device_id, fields)
    return device_id


def require_account(conn: DictConnection, user_id: int) -> None:
    """Let nobody close an account until the transaction ends, or refuse with 404: a device would be left over."""
    if queries.keep_user(conn, id=user_id) is None:
        not_found("user", user_id)


def change_device(conn: DictConnection, device_id: int, fields: Mapping[str, Any]) -> None:
    """Change the fields of DeviceChanges that are given; call it in a transaction.

    Refuses with 404 where there is no such device or tag, with 422 what cannot be.
    """
    before = queries.device_to_change(conn, id=device_id)
    if before is None:
        not_found("device", device_id)
    destination_id = fields.get("forwarding_destination_id")
    if destination_id is not None and not queries.forwarding_destination_exists(conn, id=destination_id):
        invalid(422, forwarding_destination_id=f"there is no forwarding destination {destination_id}")
    columns = {name: fields.get(name, before[name]) for name in _PLAIN}
    try:
        queries.update_device(conn, id=device_id, **columns, **_placed(before, columns, fields))
    except psycopg.errors.UniqueViolation:
        invalid(422, mac_address=f"another device has {columns['mac_address']}")
    if "user_tags" in fields:
        _set_tags(conn, device_id, fields["user_tags"] or [])
    if fields.get("postprocessing_attributes"):
        _set_postprocessing(conn, device_id, fields["postprocessing_attributes"])
    if "device_token" in fields:
        _set_token(conn, device_id, fields["device_token"])


def restore_device(conn: DictConnection, device_id: int) -> None:
    """Take a device out of the trash; call it in a transaction that holds it."""
    try:
        with conn.transaction():
            queries.restore_device(conn, id=device_id)
    except psycopg.errors.UniqueViolation:  # another device has got its MAC address at this moment: it is seen by now
        queries.restore_device(conn, id=device_id)


def _placed(before: Row, columns: Mapping[str, Any], fields: Mapping[str, Any]) -> Row:
    """Return the columns that say where a device is.

    The blurred place is drawn anew for another exact one only: a client that sends back what it saw moves nothing.
    """
    latitude = fields.get("latitude", before["exact_latitude"])
    longitude = fields.get("longitude", before["exact_longitude"])
    if latitude is None or longitude is None:
        names = ("exact_latitude", "exact_longitude", "blurred_latitude", "blurred_longitude")
        return dict.fromkeys((*names, "geohash", "city", "country_code"))
    exact = rounded(Place(latitude, longitude))
    if exact == (before["exact_latitude"], before["exact_longitude"]) and before["blurred_latitude"] is not None:
        hidden = Place(before["blurred_latitude"], before["blurred_longitude"])
        city, country_code = before["city"], before["country_code"]
    else:
        hidden = blurred(exact)
        city, country_code = city_of(exact)
    shown = exact if columns["precise_location"] else hidden
    return {
        "exact_latitude": exact.latitude,
        "exact_longitude": exact.longitude,
        "blurred_latitude": hidden.latitude,
        "blurred_longitude": hidden.longitude,
        "geohash": geohash(*shown),
        "city": city,
        "country_code": country_code,
    }


def _set_tags(conn: DictConnection, device_id: int, names: list[str]) -> None:
    found = queries.tags_by_names(conn, names=names)
    known = {row["name"].lower() for row in found}
    for name in names:
        if name.lower() not in known:
            not_found("tag", name)
    queries.set_tags_of_device(conn, device_id=device_id, tag_ids=[row["id"] for row in found])


def _set_postprocessing(conn: DictConnection, device_id: int, fields: Mapping[str, Any]) -> None:
    names = ("blueprint_url", "hardware_url", "latest_postprocessing", "meta", "forwarding_params")
    before = queries.postprocessing_of_device(conn, device_id=device_id) or dict.fromkeys(names)
    values = {name: fields.get(name, before[name]) for name in names}
    for name in ("meta", "forwarding_params"):
        values[name] = None if values[name] is None else Jsonb(values[name])
    queries.upsert_postprocessing(conn, device_id=device_id, **values)


def _set_token(conn: DictConnection, device_id: int, token: str) -> None:
    """Let the device be known by this token; those that it has stay until somebody revokes them."""
    if queries.device_id_of_token(conn, hash=hash_token(token)) == device_id:
        if not queries.device_ids_of_tokens(conn, hashes=[hash_token(token)]):
            invalid(422, device_token="was revoked, or has expired: choose another")  # noqa: S106 - a reason
        return
    if not has_room(conn, device_id):
        invalid(422, device_token=f"the device has {MOST_TOKENS} tokens: revoke one first")
    if add_token(conn, device_id, token) is None:
        invalid(422, device_token="another device has it")  # noqa: S106 - a reason, not a password
