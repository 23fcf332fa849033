"""Keep and check passwords: Argon2id."""

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
