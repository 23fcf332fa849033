"""What the ingestor reads from its environment."""

from dataclasses import dataclass

from environs import Env


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str
    mqtt_url: str
    client_id: str
    batch_messages: int
    batch_seconds: float
    patience_s: float
    topic_prefixes: list[str]

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the variables that README.md lists; environs' EnvError names the one that is missing or malformed."""
        env = Env()
        return cls(
            database_url=env.str("DATABASE_URL"),
            mqtt_url=env.str("MQTT_URL"),
            # The broker keeps undelivered messages under this name: it must come back, and no two may share it.
            client_id=env.str("MQTT_CLIENT_ID", "almanac-ingestor-1"),
            batch_messages=env.int("BATCH_MESSAGES", 2000),
            batch_seconds=env.float("BATCH_SECONDS", 0.2),
            patience_s=env.float("DATABASE_PATIENCE_SECONDS", 30.0),
            # `bridge/` for brokers that put their own name before ours
            topic_prefixes=[f"{prefix.strip('/')}/" for prefix in env.list("MQTT_TOPIC_PREFIXES", [], subcast=str)],
        )
