"""Health."""

from marshmallow import Schema, fields


class Health(Schema):
    status = fields.String(required=True, metadata={"example": "ok"})


class Readiness(Schema):
    status = fields.String(required=True, metadata={"description": "`ok` or `degraded`", "example": "ok"})
    database = fields.String(required=True, metadata={"example": "ok"})
    redis = fields.String(required=True, metadata={"description": "`ok` or what is wrong", "example": "ok"})
