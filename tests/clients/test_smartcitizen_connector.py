"""The published smartcitizen-connector against the running API: all that differs is the address.

It gets an environment of its own, kept in pytest's cache. Where no package index is reached, these tests are skipped.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caller import set_role, sign_up
from conftest import running
from flask import Flask

from app.config import Config
from scripts.services import free_port
from scripts.supervisor import Service
from sql import connect

VERSION = "1.5.9"
USE = Path(__file__).with_name("use_connector.py")


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> Path:
    """A Python that has the connector and its packages."""
    directory: Path = request.config.cache.mkdir(f"smartcitizen-connector-{VERSION}")
    python = directory / "bin" / "python"
    ready = directory / "ready"
    if not ready.exists():
        steps = (
            [sys.executable, "-m", "venv", "--clear", str(directory)],
            [str(python), "-m", "pip", "install", "--quiet", f"smartcitizen-connector=={VERSION}"],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"smartcitizen-connector {VERSION} cannot be installed here: {done.stderr.strip()[-500:]}")
        ready.touch()
    return python


@pytest.fixture(scope="module")
def address(config: Config) -> Iterator[str]:
    """The API as `almanac serve` runs it."""
    port = free_port()
    env = {
        "DATABASE_URL": config.database_url,
        "REDIS_URL": config.redis_url,
        "SECRET_KEY": config.secret_key,
        "STORAGE_URL": config.storage_url,
        "RATE_LIMIT_ANONYMOUS": "0",
        "RATE_LIMIT_TOKEN": "0",
    }
    serve = [Path(sys.executable).with_name("almanac"), "serve", "--port", str(port), "--workers", "1"]
    with running(Service("api", serve, env, probe=lambda: is_ready(port))):
        yield f"http://127.0.0.1:{port}"


def is_ready(port: int) -> bool:
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def got(app: Flask, config: Config, address: str, python: Path) -> dict[str, Any]:
    """What the connector got, as a researcher with two devices and an experiment."""
    user = sign_up(app)
    with connect(config.database_url) as conn:
        set_role(conn, user.user["id"], "researcher")
    place = {"latitude": 41.39699, "longitude": 2.19456}
    devices = [user.register_device(kit_id=26, name=f"Balcony {number}", **place)["id"] for number in range(2)]
    experiment = user.post("/v0/experiments", {"name": "Traffic", "device_ids": devices}).json["id"]
    env = {**os.environ, "API_URL": f"{address}/v0/", "SC_BEARER": user.access_token or "", "NO_PROXY": "127.0.0.1"}
    command = [python, USE, str(devices[0]), user.user["username"], str(experiment)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {"devices": devices, "username": user.user["username"], **json.loads(done.stdout.splitlines()[-1])}


def test_readings_go_in_and_come_back(got: dict[str, Any]) -> None:
    assert (got["posted"], got["loaded"], got["failed"]) == (True, True, [])
    assert got["timezone"] == "Europe/Madrid"
    assert (got["shape"], got["first"]) == ([1200, 2], [20.0, 21.0, 22.0])
    assert got["last_at"] == "2026-01-16 04:29:00+00:00"  # `to` is inclusive


def test_postprocessing_is_kept(got: dict[str, Any]) -> None:
    assert (got["patched"], got["hardware_url"]) == (True, "SCAS210028")


def test_lists_are_read_to_their_end(got: dict[str, Any]) -> None:
    assert (got["sensors"] >= 180, got["measurements"] >= 50, got["users"], got["experiments"]) == (True,) * 4


def test_single_things_are_read(got: dict[str, Any]) -> None:
    assert (got["sensor"], got["measurement"]) == ("Sensirion SHT31 - Temperature", "Air Temperature")
    assert (got["user"], got["experiment"]) == (got["devices"], "Traffic")


def test_an_experiment_is_deleted(got: dict[str, Any]) -> None:
    assert got["deleted"] == 404


def test_devices_are_searched(got: dict[str, Any]) -> None:
    assert got["by_query"] == [got["devices"], 2]
    assert got["by_secret"] == 400
    assert set(got["global"].values()) >= {"User"}


def test_a_device_with_readings_is_on_the_map(got: dict[str, Any]) -> None:
    assert got["on_map"]
