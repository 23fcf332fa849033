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

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the variables that README.md lists; environs' EnvError names the one that is missing or malformed."""
        env = Env()
        return cls(
            database_url=env.str("DATABASE_URL"),
            mqtt_url=env.str("MQTT_URL"),
            # The broker keeps undelivered messages under this name: it must come back, and no two may share it.
            client_id=env.str("MQTT_CLIENT_ID", "almanac-ingestor-1"),
            batch_messages=env.int("BATCH_MESSAGES", 500),
            batch_seconds=env.float("BATCH_SECONDS", 0.5),
        )
