"""Forwarding to other platforms."""

from marshmallow import Schema, fields, validate

from app.schemas.base import Request, time_field


class ForwardingToken(Schema):
    """What its owner sees of it later."""

    forwarding_username = fields.String(required=True, metadata={"example": "q0vMw1Yv1sV9uG0R"})
    created_at = time_field(required=True)


class MadeForwardingToken(ForwardingToken):
    """The only answer that shows the token: user name and password at the broker."""

    forwarding_token = fields.String(required=True, metadata={"example": "b6q1vMw1Yv1sV9uG0Rk3Zz5a"})
    topic = fields.String(required=True, metadata={"example": "/forward/b6q1vMw1Yv1sV9uG0Rk3Zz5a/device/+/readings"})


class ForwardQuery(Request):
    """What a broker asks; whatever is missing is not allowed."""

    topic = fields.String(
        load_default="",
        metadata={"description": "what is subscribed to", "example": "/forward/b6q1vMw1Yv1sV9uG0Rk3Zz5a/#"},
    )
    username = fields.String(
        load_default="", metadata={"description": "of the token's owner", "example": "q0vMw1Yv1sV9uG0R"}
    )


class ForwardAnswer(Schema):
    result = fields.String(required=True, validate=validate.OneOf(["allow", "deny"]))


class NewDestination(Request):
    name = fields.String(required=True, validate=validate.Length(1, 100), metadata={"example": "city-dashboard"})


class Destination(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    created_at = time_field(required=True)
    updated_at = time_field(required=True)
