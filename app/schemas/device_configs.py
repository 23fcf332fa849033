"""Configuration of devices."""

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.schemas.base import Request, time_field

_DEEPEST = 16
_LARGEST_NUMBER = 2**53  # beyond it other languages round
_MOST_SETTINGS = 200
_MOST_COMPONENTS = 200
_LONGEST_KEY = 64


class SettingsField(fields.Dict):
    """A JSON object that a device can read back as it was sent."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        loaded = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if not _is_portable(loaded, _DEEPEST):
            limits = f"at most {_DEEPEST} levels deep, numbers finite and up to 2^53"
            raise ValidationError(f"not what every device could read: {limits}")
        return loaded


def _is_portable(value: Any, deepest: int) -> bool:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return deepest > 0 and all(_is_portable(part, deepest - 1) for part in parts)
    return isinstance(value, bool) or not isinstance(value, int | float) or abs(value) <= _LARGEST_NUMBER


def interval_field(description: str, **kwargs: Any) -> fields.Float:
    """Seconds, more than 0 and up to a year."""
    within = validate.Range(0, 366 * 86_400, min_inclusive=False)
    return fields.Float(
        allow_none=True, validate=within, metadata={"description": description, "example": 60}, **kwargs
    )


class _Whole(Request):
    """Takes the place of all that was before: a name that is misspelt would undo what was meant to change."""

    class Meta:
        unknown = RAISE

    error_messages = Request.error_messages | {"unknown": "is no field of a configuration"}


class ComponentConfigRequest(_Whole):
    interval = interval_field("seconds from one reading to the next; null: with every message")
    enabled = fields.Boolean(metadata={"description": "whether it reads at all", "example": True})


class ConfigRequest(_Whole):
    """What a device is to do. Whatever is left out is as the device's kit says."""

    publish_interval = interval_field("seconds from one message to the next; null: as the kit says")
    components = fields.Dict(
        keys=fields.String(validate=validate.Length(1, _LONGEST_KEY)),
        values=fields.Nested(ComponentConfigRequest),
        validate=validate.Length(max=_MOST_COMPONENTS),
        metadata={"description": "by key", "example": {"t": {"interval": 60, "enabled": True}}},
    )
    settings = SettingsField(
        keys=fields.String(validate=validate.Length(1, _LONGEST_KEY)),
        validate=validate.Length(max=_MOST_SETTINGS),
        metadata={"description": "whatever the kit's settings_schema allows", "example": {"led": "off"}},
    )


class ComponentConfig(Schema):
    interval = fields.Float(required=True, allow_none=True)
    enabled = fields.Boolean(required=True)


class _Config(Schema):
    version = fields.Integer(required=True, metadata={"example": 3})
    publish_interval = fields.Float(required=True, allow_none=True, metadata={"example": 60})
    components = fields.Dict(keys=fields.String(), values=fields.Nested(ComponentConfig), required=True)
    settings = fields.Dict(keys=fields.String(), required=True)


class DesiredConfig(_Config):
    time = time_field("when somebody asked for it", required=True)


class ReportedConfig(_Config):
    """The device's last word, and what it does: the latest version that it has applied."""

    time = time_field("when it came", required=True)
    applied = fields.Boolean(required=True, metadata={"description": "whether the device does what the version says"})
    error = fields.String(required=True, allow_none=True, metadata={"description": "why it does not"})
    publish_interval = fields.Float(required=True, allow_none=True)
    components = fields.Dict(
        keys=fields.String(), values=fields.Nested(ComponentConfig), required=True, allow_none=True
    )
    settings = fields.Dict(keys=fields.String(), required=True, allow_none=True)


class DifferentField(Schema):
    desired = fields.Raw(required=True, allow_none=True)
    reported = fields.Raw(required=True, allow_none=True)


class ConfigDifference(Schema):
    """What the device does not do yet."""

    version = fields.Integer(required=True, metadata={"description": "that it should do"})
    time = time_field("since when it should", required=True)
    fields_ = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(DifferentField),
        required=True,
        data_key="fields",
        metadata={"example": {"publish_interval": {"desired": 60, "reported": 300}}},
    )


class DeviceConfig(Schema):
    desired = fields.Nested(
        DesiredConfig, required=True, allow_none=True, metadata={"description": "null: nobody asked for anything"}
    )
    reported = fields.Nested(
        ReportedConfig, required=True, allow_none=True, metadata={"description": "null: it has not said anything"}
    )
    difference = fields.Nested(
        ConfigDifference, required=True, allow_none=True, metadata={"description": "null: it does what it should"}
    )
