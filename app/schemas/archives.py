"""Archives."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.schemas.base import ID, WholeNumber, time_field
from app.schemas.exports import FileChoices


class NewArchive(FileChoices):
    """What to publish, and how often."""

    device_id = WholeNumber(load_default=None, validate=ID, metadata={"example": 1})
    experiment_id = WholeNumber(load_default=None, validate=ID)
    period = fields.String(
        required=True,
        validate=validate.OneOf(["day", "month"]),
        metadata={"description": "a file for each day, or each month, of `tz`", "example": "month"},
    )

    @validates_schema
    def _check(self, data: dict[str, Any], **kwargs: Any) -> None:
        if (data.get("device_id") is None) == (data.get("experiment_id") is None):
            raise ValidationError("send just one of device_id and experiment_id", "device_id")


class Archive(Schema):
    """Files of a device or an experiment that are published by themselves."""

    id = fields.Integer(required=True)
    device_id = fields.Integer(required=True, allow_none=True)
    experiment_id = fields.Integer(required=True, allow_none=True)
    period = fields.String(required=True, validate=validate.OneOf(["day", "month"]))
    query = fields.Dict(required=True, metadata={"description": "what the files hold"})
    published_until = time_field("periods up to then are published", required=True, allow_none=True)
    editions = fields.Integer(required=True, metadata={"description": "how many files it has, all versions counted"})
    manifest_url = fields.Url(required=True)
    error = fields.String(required=True, allow_none=True, metadata={"description": "why it is not up to date"})
    created_at = time_field(required=True)


class Edition(Schema):
    """One version of the file of one period. It is never replaced: what changes comes as a higher version."""

    start = time_field(data_key="from", required=True)
    end = time_field("exclusive", data_key="to", required=True)
    version = fields.Integer(required=True)
    newest = fields.Boolean(required=True, metadata={"description": "whether no higher version has replaced it"})
    reason = fields.String(
        required=True,
        validate=validate.OneOf(["first", "changed", "recalibrated"]),
        metadata={"description": "changed: readings came late or were corrected; recalibrated: by other equations"},
    )
    calibration_ids = fields.List(fields.Integer(), required=True)
    filename = fields.String(required=True)
    rows = fields.Integer(required=True)
    bytes = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    published_at = time_field(required=True)
    download_url = fields.Url(required=True, metadata={"description": "good for 24 hours; each answer makes a new one"})
    metadata_url = fields.Url(required=True)


class Manifest(Archive):
    """An archive with everything that it has published."""

    files = fields.List(fields.Nested(Edition), required=True)
