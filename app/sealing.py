"""Encrypt device tokens for the few places that need them in clear again; a dump of the database holds none.

A token is checked by its SHA-256 alone. But Mosquitto takes user names in clear, so a broker's logins could not be
made again from hashes, and a device's topics carry its token, so nothing could be sent to it. AES-256-GCM; the key
comes from SECRET_KEY, which is not in the database.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ingestor.tokens import hash_token

_NONCE_BYTES = 12


def seal(token: str, secret_key: str) -> bytes:
    """Encrypt a token; only `unseal` with the same secret and the token's own hash opens it."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(secret_key).encrypt(nonce, token.encode(), hash_token(token))


def unseal(sealed: bytes, token_hash: bytes, secret_key: str) -> str | None:
    """Return the token, or None where it was sealed with another secret, or for another hash."""
    try:
        return _cipher(secret_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], token_hash).decode()
    except InvalidTag:
        return None


def _cipher(secret_key: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=b"almanac device tokens").derive(secret_key.encode()))
