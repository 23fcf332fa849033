"""Jobs that come back, and mails that failed."""

from marshmallow import Schema, fields, validate

from app.schemas.base import time_field


class Job(Schema):
    """A job that comes back, and how its newest run went."""

    name = fields.String(required=True, metadata={"example": "exports.purge"})
    done_by = fields.String(required=True, validate=validate.OneOf(["worker", "broker keeper", "database"]))
    period = fields.Float(required=True, metadata={"description": "seconds from one run to the next", "example": 3600})
    state = fields.String(
        required=True,
        validate=validate.OneOf(["waiting", "running", "succeeded", "failed", "cut off"]),
        metadata={"description": "waiting: it has never run; cut off: its worker died, and another will do it again"},
    )
    started_at = time_field(required=True, allow_none=True)
    finished_at = time_field(required=True, allow_none=True)
    duration = fields.Float(required=True, allow_none=True, metadata={"description": "seconds", "example": 0.2})
    result = fields.Dict(
        required=True, allow_none=True, metadata={"description": "what it did", "example": {"exports": 2, "files": 4}}
    )
    error = fields.String(required=True, allow_none=True, metadata={"description": "why it failed"})
    next_run_at = time_field("in the past: it waits for a worker", required=True)


class FailedMail(Schema):
    """A mail that was given up: the mail server has refused it, or could not be reached for two days."""

    id = fields.String(required=True, metadata={"example": "mail-digest-7"})
    template = fields.String(required=True, metadata={"description": "what it tells", "example": "alerts"})
    to = fields.String(required=True, metadata={"example": "ada@example.org"})
    failed_at = time_field(required=True, allow_none=True)
    error = fields.String(required=True, metadata={"example": "RefusedMailError: 550 no such mailbox"})
