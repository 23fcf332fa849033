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


def sentence(alert: Mapping[str, Any]) -> str:
    """Say what a notification says: a row with kind, phase, subject, about and device_name."""
    about, name, subject = alert["about"], alert["device_name"], alert["subject"]
    ended = alert["phase"] == "ended"
    match alert["kind"]:
        case "stopped_publishing" if ended:
            return f"{name} publishes again."
        case "stopped_publishing":
            heard_at = datetime.fromisoformat(about["heard_at"])
            expected = about["expected_interval"]
            usual = f", though something is expected every {_duration(expected)}" if expected else ""
            return f"{name} has published nothing since {heard_at:%Y-%m-%d %H:%M} UTC{usual}."
        case "low_battery" if ended:
            return f"{name}: the battery ({subject}) is charged again."
        case _:
            return f"{name}: the battery ({subject}) is at {about['value']:g} %."


def subject_of(items: list[Row]) -> str:
    """Return the subject of a mail that tells all this."""
    if len(items) == 1:
        return sentence(items[0])
    devices = {item["device_id"]: item["device_name"] for item in items}
    what = f"{len(items):,} things about {len(devices):,} devices"
    return what if len(devices) > 1 else f"{len(items):,} things about {items[0]['device_name']}"


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
