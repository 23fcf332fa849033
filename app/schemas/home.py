"""What the platform says of itself."""

from marshmallow import Schema, fields


class Home(Schema):
    notice = fields.String(required=True)
    api_documentation_url = fields.Url(required=True)
    current_user_url = fields.Url(required=True)
    components_url = fields.Url(required=True)
    devices_url = fields.Url(required=True)
    experiments_url = fields.Url(required=True)
    kits_url = fields.Url(required=True)
    measurements_url = fields.Url(required=True)
    search_url = fields.Url(required=True)
    sensors_url = fields.Url(required=True)
    tags_url = fields.Url(required=True)
    tags_sensors_url = fields.Url(required=True)
    users_url = fields.Url(required=True)
    version_git = fields.String(required=True, metadata={"example": "0.1.0"})


class Version(Schema):
    """`ruby`, `rails`, `branch` and `revision` are of the platform whose wire this is: null here."""

    env = fields.String(required=True, metadata={"example": "production"})
    version = fields.String(required=True, metadata={"example": "0.1.0"})
    python = fields.String(required=True, metadata={"example": "3.11.7"})
    ruby = fields.String(required=True, allow_none=True)
    rails = fields.String(required=True, allow_none=True)
    branch = fields.String(required=True, allow_none=True)
    revision = fields.String(required=True, allow_none=True)


class Counts(Schema):
    now = fields.Integer(required=True, metadata={"description": "in the last ten minutes"})
    last_hour = fields.Integer(required=True)
    today = fields.Integer(required=True, metadata={"description": "since midnight UTC"})
    this_month = fields.Integer(required=True)
    this_year = fields.Integer(required=True)
    all_time = fields.Integer(required=True)


class ReadingCounts(Schema):
    good = fields.Nested(Counts, required=True, metadata={"description": "datapoints, by the time they are of"})
    bad = fields.Nested(Counts, required=True, metadata={"description": "in quarantine, by the time of their arrival"})
    total = fields.Integer(required=True, metadata={"description": "good and bad, of all time"})


class DeviceCounts(Schema):
    total = fields.Integer(required=True, metadata={"description": "not archived"})
    private = fields.Integer(required=True)
    test = fields.Integer(required=True)
    online = fields.Nested(Counts, required=True, metadata={"description": "of which something was heard since then"})
    readings = fields.Nested(ReadingCounts, required=True)


class UsersOnline(Schema):
    now = fields.Integer(required=True, allow_none=True, metadata={"description": "null: nobody counts them"})


class UserCounts(Schema):
    total = fields.Integer(required=True)
    online = fields.Nested(UsersOnline, required=True)


class Metrics(Schema):
    devices = fields.Nested(DeviceCounts, required=True)
    users = fields.Nested(UserCounts, required=True)
