"""What the ingestor reads from its environment."""

import logging
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import psycopg
from environs import FileAwareEnv
from marshmallow.validate import Range
from psycopg.conninfo import conninfo_to_dict

from ingestor.subscriber import DEFAULT_GROUP

PORT = Range(0, 0xFFFF)


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str
    mqtt_url: str
    redis_url: str  # "": live streams look once a second
    client_id: str
    batch_messages: int
    batch_seconds: float
    patience_s: float
    topic_prefixes: list[str]
    group: str  # "": one ingestor takes everything
    metrics_host: str
    metrics_port: int  # 0: no metrics
    log_level: int  # logging.INFO: a line a minute says what has been written; DEBUG: one a batch too

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the variables that README.md lists. Raises ValueError, which names what is missing or malformed."""
        env = FileAwareEnv(strip_whitespace=True)
        return cls(
            database_url=database_address("DATABASE_URL", env.str("DATABASE_URL")),
            mqtt_url=env.str("MQTT_URL"),
            redis_url=redis_address(env.str("REDIS_URL", "")),
            # The broker keeps undelivered messages under this name: it must come back, and no two may share it. A
            # device's name at the broker is its token, which has no dot, so none can take the queue away.
            client_id=env.str("MQTT_CLIENT_ID", "almanac.ingestor.1"),
            # the broker is to send two batches ahead, which it counts in 16 bits
            batch_messages=env.int("BATCH_MESSAGES", 2000, validate=Range(1, 0xFFFF // 2)),
            batch_seconds=env.float("BATCH_SECONDS", 0.2, validate=Range(0)),
            patience_s=env.float("DATABASE_PATIENCE_SECONDS", 30.0, validate=Range(0, min_inclusive=False)),
            # `bridge/` for brokers that put their own name before ours
            topic_prefixes=[f"{prefix.strip('/')}/" for prefix in env.list("MQTT_TOPIC_PREFIXES", [], subcast=str)],
            group=env.str("MQTT_GROUP", ""),
            metrics_host=env.str("METRICS_HOST", "127.0.0.1"),
            metrics_port=env.int("METRICS_PORT", 0, validate=PORT),
            log_level=env.log_level("LOG_LEVEL", logging.INFO),
        )

    def as_client(self, client_id: str) -> "Settings":
        """Return the same for another name at the broker."""
        return replace(self, client_id=client_id)

    def as_worker(self, number: int) -> "Settings":
        """Return the same for one of several processes, which differ in their names and metrics ports."""
        port = self.metrics_port + number - 1 if self.metrics_port else 0
        group = self.group or DEFAULT_GROUP
        return replace(self, client_id=f"{self.client_id}-{number}", group=group, metrics_port=port)


def database_address(name: str, text: str) -> str:
    """Return the address that a variable holds. Raises ValueError, without the password that may be in it."""
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise ValueError(f"{name} must look like postgresql://user:password@host:5432/database") from None
    return text


def redis_address(text: str) -> str:
    """Return REDIS_URL, which may be empty. Raises ValueError, without the password that may be in it."""
    if text and urlsplit(text).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("REDIS_URL must look like redis://:password@host:6379/0, rediss://… or unix://…")
    return text
