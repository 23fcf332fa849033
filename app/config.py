"""What the API, the worker and the command line read from their environment."""

from dataclasses import dataclass

from environs import FileAwareEnv

_SHORTEST_SECRET = 32


class ConfigError(Exception):
    """A variable is missing or wrong; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Config:
    database_url: str
    redis_url: str
    secret_key: str
    pool_size: int

    @classmethod
    def from_env(cls) -> "Config":
        """Read the variables that README.md lists; NAME_FILE names a file that holds the value of NAME."""
        env = FileAwareEnv()
        secret_key = env.str("SECRET_KEY")
        if len(secret_key) < _SHORTEST_SECRET:
            raise ConfigError(
                f"SECRET_KEY has {len(secret_key)} characters, it needs {_SHORTEST_SECRET} or more: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes a good one"
            )
        return cls(
            database_url=env.str("DATABASE_URL"),
            redis_url=env.str("REDIS_URL"),
            secret_key=secret_key,
            pool_size=env.int("DATABASE_POOL_SIZE", 10),
        )
