"""What happens while somebody is in the midst of something."""

from collections.abc import Callable
from typing import Any

import pytest


def meanwhile(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    step: str,
    happens: Callable[[], object],
    error: Exception | None = None,
) -> None:
    """Let something happen, once, while a worker is in the midst of a step, which may then fail."""
    real = getattr(owner, step)

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(owner, step, real)
        happens()
        if error is not None:
            raise error
        return real(*arguments)

    monkeypatch.setattr(owner, step, slow)
