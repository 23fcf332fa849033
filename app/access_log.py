"""gunicorn's access log, for who turns it on, without the tokens that addresses may hold."""

from typing import Any

from gunicorn.glogging import Logger

from ingestor.log import masked


class MaskedLogger(Logger):  # type: ignore[misc] # gunicorn carries no types
    def atoms(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(*args, **kwargs)
        return {name: masked(value) if isinstance(value, str) else value for name, value in atoms.items()}
