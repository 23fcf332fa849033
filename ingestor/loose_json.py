"""Read JSON as devices print it, and say what of it can be kept. Pure."""

import json
import re
import sys
from typing import Any

import msgspec

_DEEPEST = 64  # orjson, which writes our answers, ends at 254 levels
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair


def decode(payload: bytes) -> Any:
    """Return what the payload holds. Raises ValueError with a sentence."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        # Python's own reader takes the NaN and Infinity that C firmware prints: one such value must not cost its
        # neighbours. It is ten times slower, so it is asked second.
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None


def parse_object(payload: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an info message, or None if it is none, or none that can be kept."""
    decoded = parse_json(payload)
    return decoded if isinstance(decoded, dict) and is_kept(decoded) else None


def is_kept(value: Any, deepest: int = _DEEPEST) -> bool:
    """Whether a column of type jsonb takes this, and answers can show it again.

    That is no NaN, no NUL, no half of a surrogate pair, no number beyond a double's, and at most 64 levels.
    """
    if isinstance(value, dict | list):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return deepest > 0 and all(is_kept(part, deepest - 1) for part in parts)
    if isinstance(value, str):
        return "\0" not in value and not _HALF.search(value)
    return not isinstance(value, int | float) or abs(value) <= sys.float_info.max


def parse_json(payload: bytes) -> Any:
    """Return what the payload holds, or None if it is no JSON."""
    try:
        return decode(payload)
    except ValueError:
        return None
