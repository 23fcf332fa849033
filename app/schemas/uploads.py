"""Uploaded files of readings."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, time_field


class UploadQuery(Request):
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "store nothing, and tell what would become of the file"}
    )
    filename = fields.String(
        load_default=None, metadata={"description": "what you know the file by", "example": "26-01-15.CSV"}
    )


class UploadError(Schema):
    line = fields.Integer(required=True, metadata={"description": "of the file, from 1"})
    reason = fields.String(required=True, metadata={"example": "impossible_time"})
    detail = fields.String(required=True)


class Upload(Schema):
    id = fields.Integer(required=True)
    device_id = fields.Integer(required=True)
    filename = fields.String(required=True, allow_none=True)
    size = fields.Integer(required=True, metadata={"description": "in bytes"})
    dry_run = fields.Boolean(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["queued", "running", "finished", "failed"]))
    percent = fields.Integer(required=True)
    lines_read = fields.Integer(required=True)
    received = fields.Integer(required=True, metadata={"description": "datapoints: stored + duplicate + rejected"})
    stored = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    rejected = fields.Integer(required=True, metadata={"description": "each is an error, of which the first are told"})
    errors = fields.List(fields.Nested(UploadError), required=True)
    created_at = time_field(required=True)
    finished_at = time_field(required=True, allow_none=True)
