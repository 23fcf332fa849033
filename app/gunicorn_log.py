"""How gunicorn logs: as JSON lines; and who asks, where that is turned on, without the tokens that addresses hold."""

from typing import Any

from gunicorn.glogging import Logger

from ingestor.log import JsonLines, configure_logging, masked


class JsonLogger(Logger):  # type: ignore[misc] # gunicorn carries no types
    def setup(self, cfg: Any) -> None:
        """Let gunicorn's own lines and those of the API, which it serves, be as any other process's."""
        super().setup(cfg)
        configure_logging()
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines())

    def atoms(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(*args, **kwargs)
        return {name: masked(value) if isinstance(value, str) else value for name, value in atoms.items()}
