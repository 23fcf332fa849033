"""Secrets of webhooks, and the signature by which a receiver knows that a request is ours and is new."""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a secret, as its owner gives it to the receiver."""
    return _PREFIX + b64encode(secrets.token_bytes(32)).decode()


def signed_headers(keys: Iterable[str], delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a request; there are two secrets for a day after one has replaced the other."""
    text = f"{delivery_id}.{timestamp}.".encode() + body
    signatures = [hmac.digest(b64decode(key.removeprefix(_PREFIX)), text, sha256) for key in keys]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{b64encode(signature).decode()}" for signature in signatures),
    }
