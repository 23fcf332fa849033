"""From the broker to the hypertable and back as history, through the real daemon."""

from caller import Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from waiting import wait_for

# The reference's own examples, with the kit's compact grammar.
RAW = b"{t:2026-01-15T08:30:00Z,55:21.4,56:48,10:97}"
JSON = b'{"data":[{"recorded_at":"2026-01-15T08:31:00Z","sensors":[{"id":55,"value":21.5},{"id":56,"value":49}]}]}'


def test_a_kits_readings_come_back_as_history(
    user: Caller, anybody: Caller, broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    device = user.register_device()
    day = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}

    publish(broker, device["device_token"], "readings/raw", RAW, qos=0)
    publish(broker, device["device_token"], "readings", JSON)

    wait_for(lambda: len(anybody.history(device["id"], 55, **day)) == 2)
    assert anybody.history(device["id"], 55, **day) == [["2026-01-15T08:30:00Z", 21.4], ["2026-01-15T08:31:00Z", 21.5]]
    assert anybody.history(device["id"], 56, **day) == [["2026-01-15T08:30:00Z", 48.0], ["2026-01-15T08:31:00Z", 49.0]]
