"""Choose, keep and check passwords: Argon2id."""

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

# OWASP's minimum for Argon2id (Password Storage Cheat Sheet): 19 MiB, 2 passes, 1 lane; some 30 ms a guess.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Verified in place of an account that does not exist, so that the time taken does not tell.
_NOBODY = _HASHER.hash("no account has this password")


def hash_password(password: str) -> str:
    """Return a PHC string."""
    return _HASHER.hash(password)


def password_matches(password_hash: str | None, password: str) -> bool:
    """Check a password against an account's hash; None stands for no account and takes as long."""
    try:
        _HASHER.verify(password_hash or _NOBODY, password)
    except VerificationError:
        return False
    return password_hash is not None


def outdated(password_hash: str) -> bool:
    """Whether a hash was made with less work than we ask for now: then make a new one, the password being at hand."""
    return _HASHER.check_needs_rehash(password_hash)


def weakness(password: str, username: str, email: str) -> str | None:
    """Return why a password is too easy to guess for this account, or None; its length is the schema's to check."""
    lowered = password.lower()
    for what, name in (("username", username), ("e-mail address", email), ("e-mail address", email.partition("@")[0])):
        name = name.lower().removeprefix("@")
        if len(name) >= 3 and (name in lowered or lowered in name):
            return f"is too easy to guess: it resembles your {what}"
    return None
