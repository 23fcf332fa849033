"""Uses every part of smartcitizen-connector, with the packages of its own environment, and prints what it got as JSON.

Arguments: the id of a device, the name of its owner, the id of an experiment of theirs.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import smartcitizen_connector as sc
from pandas import DataFrame, date_range
from requests import HTTPError

SENSORS = ["Sensirion SHT31 - Temperature", "Sensirion SHT31 - Humidity"]


def main(device_id: int, username: str, experiment_id: int) -> dict[str, Any]:
    got: dict[str, Any] = {}
    device = sc.SCDevice(device_id, check_postprocessing=False)
    got["timezone"] = device.timezone
    times = date_range("2026-01-15 08:30", periods=1200, freq="1min", tz="UTC", name="TIME")
    device.data = DataFrame({name: [20.0 + number % 7 for number in range(1200)] for name in SENSORS}, index=times)
    got["posted"] = asyncio.run(device.post_data(columns=SENSORS))
    got["loaded"] = asyncio.run(device.get_data(frequency="1Min", channels=SENSORS))
    got["failed"] = device.failed_sensors
    got["shape"] = list(device.data.shape)
    got["first"] = device.data[SENSORS[0]].iloc[:3].tolist()
    got["last_at"] = str(device.data.index[-1].tz_convert("UTC"))
    device.json.postprocessing = sc.models.Postprocessing(
        id=None, device_id=device_id, blueprint_url="https://example.org/blueprint.json", hardware_url="SCAS210028"
    )
    got["patched"] = device.patch_postprocessing()
    got["hardware_url"] = sc.SCDevice(device_id, check_postprocessing=False).json.postprocessing.hardware_url

    got["sensors"] = len(sc.get_sensors())
    got["measurements"] = len(sc.get_measurements())
    got["users"] = username in {user.username for user in sc.get_users()}
    got["experiments"] = experiment_id in {experiment.id for experiment in sc.get_experiments()}
    got["sensor"] = sc.SensorHandler(55).name
    got["measurement"] = sc.MeasurementHandler(1).name
    got["user"] = [device.id for device in sc.UserHandler(username).devices]
    experiment = sc.ExperimentHandler(experiment_id)
    got["experiment"] = experiment.name
    experiment.delete()
    got["deleted"] = status_of(lambda: sc.ExperimentHandler(experiment_id))

    by_owner = [{"key": "owner_username", "search_matcher": "eq", "value": username}]
    found = sc.search_by_query(search_items=by_owner, per_page=1)
    got["by_query"] = [sorted(found.index.tolist()), found.attrs["total"]]
    secret = [{"key": "device_token", "search_matcher": "eq", "value": "x"}]
    got["by_secret"] = status_of(lambda: sc.search_by_query(search_items=secret))
    got["global"] = sc.global_search(username)["type"].to_dict()
    got["on_map"] = device_id in {entry.id for entry in sc.get_world_map()}
    return got


def status_of(call: Callable[[], object]) -> int | None:
    """Return the status that a call is refused with."""
    try:
        call()
    except HTTPError as error:
        return error.response.status_code if error.response is not None else None
    return None


print(json.dumps(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))  # noqa: T201
