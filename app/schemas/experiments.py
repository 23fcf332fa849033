"""Experiments: devices that people look at together."""

from marshmallow import Schema, fields, validate

from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.catalogue import NAME, TEXT
from app.schemas.fields import TimeField
from app.schemas.readings import History

_MOST_DEVICES = 1000


class ExperimentChanges(Request):
    """What is sent is changed; `device_ids` replaces them all."""

    name = fields.String(validate=NAME, metadata={"example": "Traffic and noise"})
    description = fields.String(allow_none=True, validate=TEXT)
    is_test = fields.Boolean()
    starts_at = TimeField(allow_none=True, metadata={"description": "null: always", "example": "2026-01-15"})
    ends_at = TimeField(allow_none=True, metadata={"description": "null: open", "example": "2026-06-30T12:00:00Z"})
    device_ids = fields.List(
        WholeNumber(validate=ID),
        validate=validate.Length(max=_MOST_DEVICES),
        metadata={"description": "public devices of anybody, private ones of the owner alone", "example": [1, 2]},
    )


class NewExperiment(ExperimentChanges):
    name = fields.String(required=True, validate=NAME, metadata={"example": "Traffic and noise"})


class Experiment(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    owner_id = fields.Integer(required=True)
    active = fields.Boolean(required=True, metadata={"description": "whether it is going on now"})
    is_test = fields.Boolean(required=True)
    starts_at = time_field(required=True, allow_none=True)
    ends_at = time_field(required=True, allow_none=True)
    device_ids = fields.List(
        fields.Integer(), required=True, metadata={"description": "those that the asking user may see"}
    )
    created_at = time_field(required=True)
    updated_at = time_field(required=True)


class ExperimentHistory(Schema):
    experiment_id = fields.Integer(required=True)
    devices = fields.List(fields.Nested(History), required=True)
