"""Health."""

from marshmallow import Schema, fields, validate


class Health(Schema):
    status = fields.String(required=True, metadata={"example": "ok"})


class Readiness(Schema):
    status = fields.String(required=True, validate=validate.OneOf(["ok", "degraded"]))
    database = fields.String(required=True, metadata={"example": "ok"})
    redis = fields.String(required=True, metadata={"description": "`ok` or what is wrong", "example": "ok"})
