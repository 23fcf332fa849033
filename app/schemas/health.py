"""Health."""

from marshmallow import Schema, fields


class Health(Schema):
    status = fields.String(required=True, metadata={"example": "ok"})
