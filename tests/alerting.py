"""What a device leaves behind that is silent or faulty, at any moment; and what its owner is told then."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caller import Caller
from mail_server import Mailbox

from app.alerts import check_batteries, check_silence
from app.config import Config
from app.jobs import alerts as jobs
from sql import DictConnection

BATTERY, TEMPERATURE = 10, 55
NOON = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
Work = Callable[[], None]
Tell = Callable[[datetime], None]


@pytest.fixture
def hearing(conn: DictConnection) -> None:
    """An ingestor that has been receiving all the time."""
    conn.execute("DELETE FROM receivers")
    conn.execute("INSERT INTO receivers VALUES ('ingestor', %s, %s)", [NOON - timedelta(days=99), NOON])


def hear(conn: DictConnection, now: datetime) -> None:
    """The ingestor says that it still receives."""
    conn.execute("UPDATE receivers SET seen_at = %s", [now])


def publish(conn: DictConnection, device_id: int, at: datetime, value: float = 1, sensor_id: int = TEMPERATURE) -> None:
    """What a reading leaves behind, at another time than now."""
    conn.execute("UPDATE devices SET last_reading_at = %s, last_received_at = %s WHERE id = %s", [at, at, device_id])
    conn.execute(
        """
        INSERT INTO components (device_id, sensor_id, key, latest_time, latest_value) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (device_id, sensor_id) DO UPDATE
        SET latest_time = excluded.latest_time, latest_value = excluded.latest_value,
            previous_value = components.latest_value
        """,
        [device_id, sensor_id, f"s{sensor_id}", at, value],
    )


def watched(user: Caller, **fields: Any) -> int:
    """A device whose owner wants to be told of everything."""
    switches = ("stopped_publishing", "low_battery", "faulty_sensors", "errors")
    device = user.register_device(**fields)
    answer = user.patch(f"/v0/devices/{device['id']}", {f"notify_{name}": True for name in switches})
    assert answer.status_code == 200, answer.text
    return int(device["id"])


def opened(conn: DictConnection, device_id: int) -> list[dict[str, Any]]:
    return conn.execute("SELECT * FROM alerts WHERE device_id = %s ORDER BY id", [device_id]).fetchall()


@pytest.fixture
def tell(config: Config, conn: DictConnection, work: Work) -> Tell:
    """A run of the job at a moment; `work` then sends its mails."""

    def tell(now: datetime) -> None:
        check_silence(conn, now)
        check_batteries(conn, now)
        jobs.mail(conn, config, now)

    return tell


def mails_to(mailbox: Mailbox, user: Caller) -> list[str]:
    return [str(message["Subject"]) for message in mailbox.messages if message["To"] == user.user["email"]]


class Told:
    """When alerts should begin and end: none twice, and none before the one before it has ended."""

    def __init__(self) -> None:
        self.times: list[tuple[datetime, datetime | None]] = []

    def note(self, now: datetime, begins: bool, ends: bool) -> None:
        is_open = bool(self.times) and self.times[-1][1] is None
        if is_open and ends:
            self.times[-1] = (self.times[-1][0], now)
        elif begins and not is_open:
            self.times.append((now, None))


def times_of(conn: DictConnection, device_id: int) -> list[tuple[datetime, datetime | None]]:
    return [(alert["began_at"], alert["ended_at"]) for alert in opened(conn, device_id)]


@pytest.fixture
def thermometer(admin: Caller) -> int:
    """A sensor that gives -40 to 125, and never the same for six hours."""
    fields = {"minimum": -40, "maximum": 125, "stuck_after": 6 * 3600, "unit": "ºC"}
    made = admin.post("/v0/sensors", {"name": "Probe", "description": "", **fields})
    assert made.status_code == 201, made.text
    return int(made.json["id"])


def measure(
    user: Caller, device_id: int, sensor_id: int, values: list[float], until: datetime, minutes_apart: int = 10
) -> None:
    """Send values, so many minutes apart."""
    data = [
        {
            "recorded_at": f"{until - timedelta(minutes=minutes_apart * back):%Y-%m-%dT%H:%M:%SZ}",
            "sensors": [{"id": sensor_id, "value": value}],
        }
        for back, value in enumerate(reversed(values))
    ]
    assert user.post(f"/v0/devices/{device_id}/readings", {"data": data}).json["stored"] == len(values)


def faults(conn: DictConnection, device_id: int) -> list[tuple[str, bool]]:
    return [(alert["kind"], alert["ended_at"] is None) for alert in opened(conn, device_id)]
