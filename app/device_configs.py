"""What a device is to be told: what somebody asks for, on top of what its kit says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jsonschema_rs
import orjson
from psycopg.types.json import Jsonb

from app.errors import refuse
from sql import DictConnection, Row, queries

LONGEST_CONFIG = 8192  # bytes of JSON: devices are small


def add_config(conn: DictConnection, device_id: int, asked: Mapping[str, Any], author_id: int | None) -> int:
    """Make the next version for a device that the transaction holds, and return its number.

    `asked` as ConfigRequest loads it. Refuses with 422 what the device's kit does not allow.
    """
    (config,) = resolved(conn, [device_id], asked)
    version: int = queries.insert_device_config(conn, device_id=device_id, config=Jsonb(config), author_id=author_id)
    return version


def add_first_config(conn: DictConnection, device_id: int) -> None:
    """Let a new device be told what its kit says, if that says anything."""
    (blueprint,) = queries.blueprints_of_devices(conn, device_ids=[device_id])
    if blueprint["publish_interval"] is not None or blueprint["components"] or blueprint["settings"]:
        add_config(conn, device_id, {}, None)


def resolved(conn: DictConnection, device_ids: Sequence[int], asked: Mapping[str, Any]) -> list[Row]:
    """Return the whole configurations of devices, ordered by id; what is not asked for is as their kits say."""
    return [_resolved(blueprint, asked) for blueprint in queries.blueprints_of_devices(conn, device_ids=device_ids)]


def _resolved(blueprint: Row, asked: Mapping[str, Any]) -> Row:
    device_id = blueprint["device_id"]
    components: dict[str, Row] = dict(blueprint["components"])
    for key, component in (asked.get("components") or {}).items():
        if key not in blueprint["keys"]:
            known = ", ".join(blueprint["keys"]) or "none yet"
            _refuse(device_id, f"components.{key}", f"there is no such component; there are: {known}")
        components[key] = {"interval": None, "enabled": True, **components.get(key, {}), **component}
    publish_interval = asked.get("publish_interval")
    config: Row = {
        "publish_interval": _plain(publish_interval if publish_interval is not None else blueprint["publish_interval"]),
        "components": {
            key: {**component, "interval": _plain(component["interval"])} for key, component in components.items()
        },
        "settings": {**blueprint["settings"], **(asked.get("settings") or {})},
    }
    if blueprint["settings_schema"] is not None:
        for reason in settings_errors(blueprint["settings_schema"], config["settings"]):
            _refuse(device_id, *reason)
    if (size := len(orjson.dumps(config))) > LONGEST_CONFIG:
        _refuse(device_id, "settings", f"the whole configuration is {size:,} bytes of JSON; {LONGEST_CONFIG:,} at most")
    return config


def settings_errors(schema: Row, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, reason) for whatever in the settings the JSON Schema does not allow."""
    for error in _validator(schema).iter_errors(settings):
        yield ".".join(["settings", *map(str, error.instance_path)]), error.message


def schema_error(schema: Row) -> str | None:
    """Return why this is no JSON Schema, or None. A reference to another document is refused: nothing is fetched."""
    try:
        _validator(schema)
    except ValueError as error:  # jsonschema_rs's errors are such
        return str(getattr(error, "message", error))
    return None


def difference(desired: Row, applied: Row | None) -> dict[str, Row]:
    """Return what a device still does otherwise than it should, by field: `components.t.interval`, `settings.led`."""
    wanted, had = dict(_leaves(desired)), dict(_leaves(applied or {}))
    fields = sorted(wanted.keys() | had.keys())
    return {
        field: {"desired": wanted.get(field), "reported": had.get(field)}
        for field in fields
        if wanted.get(field) != had.get(field)
    }


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, part in value.items():
        if isinstance(part, Mapping):
            yield from _leaves(part, f"{path}{key}.")
        else:
            yield f"{path}{key}", part


def _validator(schema: Row) -> jsonschema_rs.Validator:
    # Patterns run in linear time whatever they and the texts are.
    return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions(), retriever=_fetch_nothing)


def _fetch_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is another document: write its content out")


def _plain(seconds: float | None) -> float | None:
    """Whole seconds without a fraction: firmware reads them more easily."""
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds


def _refuse(device_id: int, field: str, reason: str) -> NoReturn:
    refuse(422, f"device {device_id}: {field}: {reason}", errors={field: [reason]})
