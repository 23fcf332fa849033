"""What the API, the worker and the command line read from their environment."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from environs import FileAwareEnv
from marshmallow.validate import Range

from ingestor.settings import database_address, redis_address

_SHORTEST_SECRET = 32
_NOT_NEGATIVE = Range(min=0)
_PUBLIC_URL = "http://127.0.0.1:5000"  # where people reach the platform, for links in mails
_MAIL_FROM = "Almanac <almanac@localhost>"
_STORAGE_URL = (Path("var") / "storage").absolute().as_uri()


class ConfigError(ValueError):
    """A variable is missing or wrong; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Config:
    """What holds a password or is one is no part of its repr, and so of no traceback or log."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    pool_size: int
    database_read_url: str = field(default="", repr=False)  # "": the primary answers everything
    public_url: str = _PUBLIC_URL
    mail_url: str = field(default="", repr=False)
    mail_from: str = _MAIL_FROM
    rate_limit_anonymous: int = 150  # requests a minute from one address; 0: no limit
    rate_limit_token: int = 1000  # requests a minute of one user, whatever their tokens
    rate_limit_sign_in: int = 20  # wrong passwords a minute for one address or login; sign-ups, resets, onboardings
    trusted_proxies: int = 0  # how many proxies in front of the API write X-Forwarded-For and -Proto
    storage_url: str = _STORAGE_URL
    data_licence: str | None = None  # of public devices' readings, for the metadata of exports
    tile_url: str = ""  # of a tile server below the explorer's map, with {z}, {x} and {y}
    tile_attribution: str = ""
    device_broker_url: str = ""  # where devices log in, as the explorer tells it to their makers

    @classmethod
    def from_env(cls) -> "Config":
        """Read the variables that README.md lists; NAME_FILE names a file that holds the value of NAME.

        Raises ConfigError.
        """
        try:
            return cls._read()
        except ValueError as error:  # environs' EnvError is one
            raise ConfigError(str(error)) from None

    @classmethod
    def _read(cls) -> "Config":
        env = FileAwareEnv(strip_whitespace=True)
        secret_key = env.str("SECRET_KEY")
        if len(secret_key) < _SHORTEST_SECRET:
            raise ConfigError(
                f"SECRET_KEY has {len(secret_key)} characters, it needs {_SHORTEST_SECRET} or more: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes a good one"
            )
        return cls(
            database_url=database_address("DATABASE_URL", env.str("DATABASE_URL")),
            redis_url=redis_address(env.str("REDIS_URL")),
            secret_key=secret_key,
            pool_size=env.int("DATABASE_POOL_SIZE", 10, validate=Range(min=1)),
            database_read_url=database_address("DATABASE_READ_URL", env.str("DATABASE_READ_URL", "")),
            public_url=env.str("PUBLIC_URL", _PUBLIC_URL).rstrip("/"),
            mail_url=_mail_url(env.str("MAIL_URL", "")),
            mail_from=env.str("MAIL_FROM", _MAIL_FROM),
            rate_limit_anonymous=env.int("RATE_LIMIT_ANONYMOUS", 150, validate=_NOT_NEGATIVE),
            rate_limit_token=env.int("RATE_LIMIT_TOKEN", 1000, validate=_NOT_NEGATIVE),
            rate_limit_sign_in=env.int("RATE_LIMIT_SIGN_IN", 20, validate=_NOT_NEGATIVE),
            trusted_proxies=env.int("TRUSTED_PROXIES", 0, validate=_NOT_NEGATIVE),
            storage_url=_storage_url(env.str("STORAGE_URL", _STORAGE_URL)),
            data_licence=env.str("DATA_LICENCE", "") or None,
            tile_url=env.str("TILE_URL", ""),
            tile_attribution=env.str("TILE_ATTRIBUTION", ""),
            device_broker_url=env.str("DEVICE_BROKER_URL", ""),
        )


def _mail_url(text: str) -> str:
    if text and urlsplit(text).scheme not in ("smtp", "smtps"):
        raise ConfigError("MAIL_URL must look like smtp://user:password@host:587 or smtps://user:password@host:465")
    return text


def _storage_url(text: str) -> str:
    if not urlsplit(text).scheme:
        raise ConfigError("STORAGE_URL must look like file:///srv/almanac or s3://bucket/folder")
    return text
