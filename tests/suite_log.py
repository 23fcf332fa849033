"""What everything has logged while the tests ran, and the secrets that must not be in it."""

import logging
from typing import Any

from ingestor.log import JsonLines

_SHOWN_ONCE = ("access_token", "refresh_token", "token", "device_token", "client_secret", "secret")
_LONG_ENOUGH = 16  # a kit's token of six characters may be part of any word

lines: list[str] = []
secrets: set[str] = set()


class _Keeper(logging.Handler):
    """Keeps this process's records, in the form in which the programs write theirs."""

    def emit(self, record: logging.LogRecord) -> None:
        lines.append(self.format(record))


def start() -> None:
    keeper = _Keeper(logging.INFO)
    keeper.setFormatter(JsonLines())
    root = logging.getLogger()
    root.addHandler(keeper)
    root.setLevel(logging.INFO)


def note_secrets(answer: Any) -> None:
    """Note the secrets that an answer of the API shows."""
    if isinstance(answer, dict):
        secrets.update(
            value
            for value in (answer.get(key) for key in _SHOWN_ONCE)
            if isinstance(value, str) and len(value) >= _LONG_ENOUGH
        )
