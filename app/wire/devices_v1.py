"""Devices as version 1 of the wire has them: what the reader may not see is absent, and named instead."""

from app.device_records import DeviceRecord
from app.wire.bare_devices import bare_device_json
from app.wire.catalogue import measurement_json
from app.wire.users import place_json
from sql import Row


def device_v1_json(record: DeviceRecord, *, own: bool, owns_account: bool = False) -> Row:
    """Return a version 1 Device; `own`: the reader owns it or is an admin, `owns_account`: and may see the address too.

    Fields without a value are left out.
    """
    shown = bare_device_json(record.device, own=own)
    hardware = dict(shown["hardware"])
    unauthorized = ["device_token"]  # shown when it is made, never again
    if not own:
        unauthorized += ["mac_address", "data_policy"]
        del hardware["last_status_message"]
        hardware["unauthorized_fields"] = ["last_status_message"]
    fields = {
        **{key: value for key, value in shown.items() if key not in unauthorized},
        "hardware": hardware,
        "owner": _owner(record.owner, own=owns_account) if record.owner else None,
        "components": [_component(component, sensor) for component, sensor in record.components],
        "unauthorized_fields": unauthorized,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _owner(owner: Row, *, own: bool) -> Row:
    return {
        "id": owner["id"],
        "uuid": owner["uuid"],
        "role": owner["role"],
        "username": owner["username"],
        "profile_picture": "",
        "url": owner["url"],
        "location": place_json(owner["city"], owner["country_code"]),
        "created_at": owner["created_at"],
        "updated_at": owner["updated_at"],
        **({"email": owner["email"]} if own else {}),
        "unauthorized_fields": ["legacy_api_key"] if own else ["email", "legacy_api_key"],
    }


def _component(component: Row, sensor: Row) -> Row:
    return {
        "sensor": {
            "id": sensor["id"],
            "parent_id": sensor["parent_id"],
            "name": sensor["name"],
            "description": sensor["description"],
            "unit": sensor["unit"],
            "created_at": sensor["created_at"],
            "updated_at": sensor["updated_at"],
            "uuid": sensor["uuid"],
            "datasheet": sensor["datasheet"],
            "unit_definition": sensor["unit_definition"],
            "measurement": measurement_json(sensor),
            "tags": sensor["tags"],
        },
        "last_reading_at": component["latest_time"],
        "latest_value": component["latest_value"],
        "previous_value": component["previous_value"],
    }
