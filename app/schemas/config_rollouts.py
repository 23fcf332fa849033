"""Configurations on their way to many devices."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.device_configs import ConfigRequest

_PERCENT = validate.Range(1, 100)


class NewConfigRollout(Request):
    experiment_id = WholeNumber(
        validate=ID, metadata={"description": "to those devices of an experiment that you may configure"}
    )
    user_id = WholeNumber(
        validate=ID, metadata={"description": "or to a user's devices, by default yours", "example": 1}
    )
    config = fields.Nested(ConfigRequest, required=True)
    percent = WholeNumber(
        required=True,
        validate=_PERCENT,
        metadata={"description": "of the devices, drawn by lot", "example": 10},
    )

    @validates_schema
    def _one_cohort(self, data: dict[str, Any], **kwargs: Any) -> None:
        if "experiment_id" in data and "user_id" in data:
            raise ValidationError("send this or experiment_id, not both", "user_id")


class ConfigRolloutChanges(Request):
    percent = WholeNumber(validate=_PERCENT, metadata={"description": "more than before", "example": 50})
    state = fields.String(
        validate=validate.OneOf(["running", "paused"]),
        metadata={"description": "paused: devices that have not applied it are told again what they were told before"},
    )


class ConfigRollout(Schema):
    id = fields.Integer(required=True)
    owner_id = fields.Integer(required=True)
    experiment_id = fields.Integer(required=True, allow_none=True)
    user_id = fields.Integer(required=True, allow_none=True)
    config = fields.Nested(ConfigRequest, required=True)
    percent = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["running", "paused"]))
    reason = fields.String(required=True, allow_none=True, metadata={"description": "why it has paused by itself"})
    total = fields.Integer(required=True, metadata={"description": "how many devices there are"})
    told = fields.Integer(required=True, metadata={"description": "how many were told"})
    applied = fields.Integer(required=True, metadata={"description": "how many do it"})
    refused = fields.Integer(required=True, metadata={"description": "how many said that they cannot"})
    in_trouble = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "devices that refuse it or report new errors since they were told"},
    )
    created_at = time_field(required=True)
