"""Many devices at once."""

from marshmallow import Schema, fields


class ImportedDevice(Schema):
    """What became of one row of a file."""

    row = fields.Integer(required=True, metadata={"description": "its number, the header being 1"})
    id = fields.Integer(required=True, allow_none=True)
    device_token = fields.String(required=True, allow_none=True, metadata={"description": "shown this once"})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata={"description": "reasons by column; none: the device is registered"},
    )


class ImportReport(Schema):
    registered = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    rows = fields.List(fields.Nested(ImportedDevice), required=True)
