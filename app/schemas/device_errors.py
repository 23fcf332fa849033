"""Errors that devices report."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, WholeNumber, time_field
from app.schemas.paging import Paging
from ingestor.reports import LONGEST_NAME

_NAME = validate.Length(1, LONGEST_NAME)


class DeviceErrorsQuery(Paging):
    state = fields.String(
        load_default=None,
        validate=validate.OneOf(["open", "resolved"]),
        metadata={"description": "only those", "example": "open"},
    )
    component = fields.String(
        load_default=None, validate=_NAME, metadata={"description": "of one component, by its key", "example": "t"}
    )
    code = fields.String(load_default=None, validate=_NAME, metadata={"description": "of one code", "example": "E42"})


class DeviceError(Schema):
    """An error of one code and component in one hour."""

    id = fields.Integer(required=True)
    component = fields.String(
        required=True, allow_none=True, metadata={"description": "its key; null: the device itself", "example": "t"}
    )
    code = fields.String(required=True, metadata={"example": "no_answer"})
    message = fields.String(required=True, allow_none=True, metadata={"description": "of the last one"})
    count = fields.Integer(required=True, metadata={"description": "how often in that hour", "example": 12})
    first_time = time_field("by the device's clock", required=True)
    last_time = time_field("by the device's clock", required=True)
    received_at = time_field("when the last one came", required=True)
    resolved_at = time_field("null: it is open", required=True, allow_none=True)


class Resolution(Request):
    ids = fields.List(
        WholeNumber(validate=validate.Range(1, 2**63 - 1)),
        required=True,
        validate=validate.Length(1, 1000),
        metadata={"description": "of at most 1,000 errors of the device", "example": [1, 2]},
    )
