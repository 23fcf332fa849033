"""What search finds."""

from marshmallow import Schema, fields, validate

from app.schemas.paging import Paging


class SearchQuery(Paging):
    q = fields.String(load_default="", metadata={"description": "words, or their beginnings", "example": "barcelona"})


class SearchHit(Schema):
    """A City has no `id`; a City, a Tag and a Device have a `name`, a User a `username`."""

    type = fields.String(required=True, validate=validate.OneOf(["City", "Tag", "Device", "User"]))
    id = fields.Integer()
    name = fields.String()
    description = fields.String(allow_none=True)
    username = fields.String()
    profile_picture = fields.String()
    owner_id = fields.Integer()
    owner_username = fields.String()
    layer = fields.String(metadata={"description": "of a City: `city`"})
    city = fields.String(allow_none=True)
    country_code = fields.String(allow_none=True)
    country = fields.String(allow_none=True)
    latitude = fields.Float(allow_none=True)
    longitude = fields.Float(allow_none=True)
    url = fields.String(metadata={"description": "where to read it"})


class Warned(Schema):
    """There was nothing to search for."""

    warning = fields.String(data_key="Warning", required=True)
