"""Read what devices say of themselves: errors, and which configuration they run. Pure.

Wire: {"time": TIME, "component": KEY or ID, "code": TEXT, "message": TEXT}, or a list of such, on `errors`;
{"version": N, "applied": true} or {"version": N, "error": TEXT} on `config/reported`.
"""

import json
from datetime import datetime
from typing import Any, NamedTuple

from ingestor.loose_json import parse_json
from ingestor.payload import Flaw, Reason
from ingestor.times import parse_time

MOST_ERRORS = 100  # a message
LONGEST_NAME = 64  # characters of a component or a code
LONGEST_MESSAGE = 1000  # characters; what is longer loses its end
_LARGEST_VERSION = 2**31 - 1


class DeviceError(NamedTuple):
    component: str | None  # a key, a sensor's id, or whatever the device calls it; None: the device itself
    code: str
    time: datetime  # UTC
    message: str | None


class ConfigReport(NamedTuple):
    """What a device says of one version of its configuration."""

    version: int
    time: datetime  # when it came, UTC
    error: str | None  # None: it does what the version says


def parse_errors(
    payload: bytes, earliest: datetime, now: datetime, latest: datetime
) -> tuple[list[DeviceError], list[Flaw]]:
    """Return the errors that a message names, and what in it is none.

    An error without a time, or with one that is not between `earliest` and `latest`, has that of its arrival, `now`: a
    device whose clock is wrong has an error to tell.
    """
    said = parse_json(payload)
    items = said if isinstance(said, list) else [said]
    if said is None or len(items) > MOST_ERRORS:
        return [], [Flaw(payload, Reason.UNREADABLE, f"expected an error, or a list of at most {MOST_ERRORS}")]
    errors, flaws = [], []
    for item in items:
        error = _error(item, earliest, now, latest)
        if error is not None:
            errors.append(error)
        else:
            detail = f"expected {{time, component, code, message}} with a code of 1 to {LONGEST_NAME} characters"
            flaws.append(Flaw(json.dumps(item).encode(), Reason.UNREADABLE, detail))
    return errors, flaws


def parse_config_report(payload: bytes, now: datetime) -> ConfigReport | Flaw:
    """Return what a device says of a version of its configuration."""
    said = parse_json(payload)
    version = said.get("version") if isinstance(said, dict) else None
    if type(version) is int and 0 < version <= _LARGEST_VERSION:
        error = _text(said.get("error"), LONGEST_MESSAGE)
        if error is not None:
            return ConfigReport(version, now, error)
        if said.get("applied") is True:
            return ConfigReport(version, now, None)
    detail = 'expected {"version": N, "applied": true} or {"version": N, "error": "why not"}'
    return Flaw(payload, Reason.UNREADABLE, detail)


def _error(item: Any, earliest: datetime, now: datetime, latest: datetime) -> DeviceError | None:
    if not isinstance(item, dict):
        return None
    code, component = _text(item.get("code")), _text(item.get("component"))
    if code is None or max(len(code), len(component or "")) > LONGEST_NAME:
        return None
    time = _time(item.get("time"))
    if time is None or not earliest <= time <= latest:
        time = now
    return DeviceError(component, code, time, _text(item.get("message"), LONGEST_MESSAGE))


def _time(given: Any) -> datetime | None:
    try:
        return parse_time(given) if type(given) in (str, int, float) else None
    except ValueError:
        return None


def _text(given: Any, longest: int | None = None) -> str | None:
    """Return what PostgreSQL keeps as text of a string or a whole number; None for what is empty or something else."""
    if type(given) not in (str, int):
        return None
    return str(given).encode(errors="replace").decode().replace("\0", "").strip()[:longest] or None
