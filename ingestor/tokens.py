"""How the database knows tokens: it holds none of them in clear. Pure."""

from hashlib import sha256


def hash_token(token: str) -> bytes:
    """Return the form in which the database knows a token, of whatever kind."""
    return sha256(token.encode()).digest()
