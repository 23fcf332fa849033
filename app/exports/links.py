"""Download links that need no signing in, for a day: whoever has one can fetch its file.

The file's name comes last, so that pandas, R and DuckDB see from the address what they get.
"""

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

LINK_VALID_S = 24 * 3600


class LinkError(Exception):
    """A link was not made here, or its day is over; the message says which."""


def _serializer(secret_key: str, kind: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_key, salt=f"download {kind}")


def link(public_url: str, secret_key: str, kind: str, thing_id: int, filename: str) -> str:
    """Return the address of a file of an `exports` or `archives` thing."""
    signature = _serializer(secret_key, kind).dumps([thing_id, filename])
    return f"{public_url}/v0/{kind}/{thing_id}/download/{signature}/{filename}"


def check(secret_key: str, kind: str, thing_id: int, filename: str, signature: str) -> None:
    """Raises LinkError unless the signature was made for this file within the last day."""
    try:
        signed = _serializer(secret_key, kind).loads(signature, max_age=LINK_VALID_S)
    except SignatureExpired:
        raise LinkError("this link has expired: it is good for 24 hours") from None
    except BadSignature:
        raise LinkError("this link is not complete, or not one of ours") from None
    if signed != [thing_id, filename]:
        raise LinkError("this link is for another file")
