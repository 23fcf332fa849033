"""The trash, deletion for good, and the way of a device to another owner."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, WholeNumber, time_field


class ArchivedDevice(Schema):
    """A device in the trash."""

    id = fields.Integer(required=True)
    uuid = fields.UUID(required=True)
    name = fields.String(required=True)
    archived_at = time_field(required=True)
    purged_after = time_field("when it and its readings are deleted for good", required=True)


class Purge(Schema):
    """How far the deletion of a device and its readings has come."""

    device_id = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["queued", "running", "finished"]))
    percent = fields.Integer(required=True)
    datapoints = fields.Integer(required=True, metadata={"description": "how many have been deleted"})
    requested_at = time_field(required=True)
    finished_at = time_field(required=True, allow_none=True)


class NewTransfer(Request):
    days = WholeNumber(
        load_default=7, validate=validate.Range(1, 30), metadata={"description": "how long it may be accepted"}
    )


class Transfer(Schema):
    """The offer of a device to whoever is given its token."""

    device_id = fields.Integer(required=True)
    transfer_token = fields.String(required=True, metadata={"description": "shown this once"})
    expires_at = time_field(required=True)


class TransferAcceptance(Request):
    transfer_token = fields.String(required=True, metadata={"example": "bTZk…", "description": "as it was given"})
