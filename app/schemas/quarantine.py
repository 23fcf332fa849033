"""What is in quarantine, and what becomes of it."""

from datetime import timedelta

from marshmallow import Schema, fields, validate

from app.schemas.base import ID, Request, WholeNumber, time_field
from app.schemas.paging import Paging
from ingestor.payload import Reason

MOST_IDS = 1000
_LONGEST_SHIFT_S = int(timedelta(days=100 * 366).total_seconds())


class QuarantineQuery(Paging):
    device_id = WholeNumber(
        load_default=None,
        validate=ID,
        metadata={"description": "of one device", "example": 1},
    )
    reason = fields.String(
        load_default=None,
        validate=validate.OneOf([str(reason) for reason in Reason]),
        metadata={"description": "kept aside for this reason", "example": "unknown_sensor"},
    )


class QuarantineItem(Schema):
    id = fields.Integer(required=True)
    received_at = time_field(required=True)
    device_id = fields.Integer(required=True, allow_none=True, metadata={"description": "null: nobody's, for admins"})
    topic = fields.String(required=True, metadata={"description": "the token stands as +"})
    reason = fields.String(required=True, metadata={"example": "unknown_sensor"})
    detail = fields.String(required=True, metadata={"example": "no sensor has the id 9999"})
    payload = fields.String(
        required=True, metadata={"description": "the item, or the message; in a list its beginning"}
    )
    size = fields.Integer(required=True, metadata={"description": "of the payload, in bytes"})


class Release(Request):
    ids = fields.List(
        WholeNumber(validate=validate.Range(1, 2**63 - 1)),
        required=True,
        validate=validate.Length(1, MOST_IDS),
        metadata={"description": f"of at most {MOST_IDS:,} items", "example": [1, 2]},
    )
    shift_seconds = WholeNumber(
        load_default=0,
        validate=validate.Range(-_LONGEST_SHIFT_S, _LONGEST_SHIFT_S),
        metadata={"description": "how much later than they say the readings were: 7200 for a clock two hours slow"},
    )


class StillQuarantined(Schema):
    id = fields.Integer(required=True)
    reason = fields.String(required=True)
    detail = fields.String(required=True)


class Released(Schema):
    stored = fields.Integer(required=True, metadata={"description": "datapoints that are new or changed a value"})
    duplicate = fields.Integer(required=True, metadata={"description": "datapoints that were known already"})
    kept = fields.List(fields.Nested(StillQuarantined), required=True, metadata={"description": "what still is wrong"})
