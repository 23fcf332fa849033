"""What is wrong with devices: find it, say it in a sentence, and let one mail an owner tell it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from sql import DictConnection, Row, queries

MOST_IN_A_MAIL = 50  # sentences; a mail that tells of a thousand devices names so many


def check_silence(conn: DictConnection, now: datetime) -> dict[str, int]:
    """Begin and end what silence there is, unless the platform itself is deaf; return how many of each."""
    since = queries.receiving_since(conn, now=now)
    if since is None:
        return {"deaf": 1}
    begun = queries.begin_silences(conn, now=now, receiving_since=since)
    return {"silent": begun, "heard_again": queries.end_silences(conn, now=now)}


def check_batteries(conn: DictConnection, now: datetime) -> dict[str, int]:
    """Begin and end what low batteries there are; return how many of each."""
    begun = queries.begin_low_batteries(conn, now=now)
    return {"low_batteries": begun, "charged": queries.end_low_batteries(conn, now=now)}


def check_sensors(conn: DictConnection, now: datetime) -> dict[str, int]:
    """Begin and end what sensors are stuck or out of their range; return how many of each."""
    begun = queries.begin_sensor_faults(conn, now=now)
    return {"faulty": begun, "sound": queries.end_sensor_faults(conn, now=now)}


def check_errors(conn: DictConnection, now: datetime) -> dict[str, int]:
    """Begin and end what devices report; return how many of each."""
    begun = queries.begin_device_errors(conn, now=now)
    return {"errors": begun, "errors_over": queries.end_device_errors(conn, now=now)}


def sentence(alert: Mapping[str, Any]) -> str:
    """Say what a notification says: a row with kind, phase, subject, about and device_name."""
    about, name, subject = alert["about"], alert["device_name"], alert["subject"]
    ended = alert["phase"] == "ended"
    match alert["kind"]:
        case "stopped_publishing" if ended:
            return f"{name} publishes again."
        case "stopped_publishing":
            expected = about["expected_interval"]
            usual = f", though something is expected every {_duration(expected)}" if expected else ""
            return f"{name} has published nothing since {_minute(about['heard_at'])}{usual}."
        case "low_battery" if ended:
            return f"{name}: the battery ({subject}) is charged again."
        case "low_battery":
            return f"{name}: the battery ({subject}) is at {about['value']:g} %."
        case "out_of_range" if ended:
            return f"{name}: {subject} is in its sensor's range again."
        case "out_of_range":
            low, high = (about[limit] for limit in ("minimum", "maximum"))
            limit = f"below {low:g}" if low is not None and about["value"] < low else f"above {high:g}"
            return f"{name}: {subject} is at {_value(about)}, {limit}, which its sensor cannot give."
        case "stuck" if ended:
            return f"{name}: {subject} changes again."
        case "stuck":
            return f"{name}: {subject} has been at {_value(about)} without a change since {_minute(about['since'])}."
        case _ if ended:
            return f"{name} reports {subject} no longer."
        case _:
            message = f": {about['message']}" if about["message"] else ""
            return f"{name} reports {subject}{message}."


def subject_of(items: list[Row]) -> str:
    """Return the subject of a mail that tells all this."""
    if len(items) == 1:
        return sentence(items[0])
    devices = {item["device_id"]: item["device_name"] for item in items}
    what = f"{len(items):,} things about {len(devices):,} devices"
    return what if len(devices) > 1 else f"{len(items):,} things about {items[0]['device_name']}"


def _minute(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


def _value(about: Mapping[str, Any]) -> str:
    return f"{about['value']:g} {about['unit'] or ''}".strip()


def _duration(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return name if seconds == size else f"{seconds / size:g} {name}s"
    return "second" if seconds == 1 else f"{seconds:g} seconds"


def off_url(public_url: str, secret_key: str, digest_id: int) -> str:
    """Return the address that stops what a mail told of; whoever has it may."""
    return f"{public_url}/ui/notifications/off/{_signer(secret_key).dumps(digest_id)}"


def digest_of(secret_key: str, signature: str) -> int | None:
    """Return which digest an `off_url` was made for, or None where it was not made here."""
    try:
        digest_id: int = _signer(secret_key).loads(signature)
    except BadSignature:
        return None
    return digest_id


def _signer(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="notifications off")
