"""./scripts/dev: the whole platform from an empty directory to growing history, and then once more."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from scripts.dev import PORTS
from scripts.services import free_port
from scripts.supervisor import Child, Service


def dev(var: Path, **ports: int) -> Child:
    """A ./scripts/dev on free ports; ready when it has printed its curl line."""
    env = {variable: str(ports.get(variable) or free_port()) for variable in PORTS}
    env |= {"VAR_DIR": str(var), "DATABASE_URL": "", "MQTT_URL": "", "REDIS_URL": ""}
    return Child(Service("dev", [sys.executable, "-m", "scripts.dev"], env, says="curl "))


def started_by(parent: int) -> dict[int, str]:
    """The command lines of all that a process has started, by process id."""
    ps = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in ps.stdout.splitlines()]
    found: dict[int, str] = {}
    for pid, above, *command in rows:
        if int(above) == parent:
            found |= {int(pid): " ".join(command)} | started_by(int(pid))
    return found


def is_alive(pid: int) -> bool:
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0


def datapoints(url: str) -> int:
    """How many datapoints a history counts."""
    with urllib.request.urlopen(url, timeout=30) as response:
        return int(json.load(response)["sample_size"])


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds} s"
        time.sleep(0.2)


def history_url(child: Child) -> str:
    line = next(line for line in list(child.last_lines) if "curl " in line)
    return shlex.split(line)[-1]


def test_history_grows_until_ctrl_c_and_goes_on_growing_after_the_next_start(tmp_path: Path) -> None:
    child = dev(tmp_path / "var")
    child.start()
    try:
        child.wait_until_ready(180)
        url = history_url(child)
        wait_for(lambda: datapoints(url) > 0)
        seen = datapoints(url)
        wait_for(lambda: datapoints(url) > seen)
        processes = started_by(child.pid)
        os.kill(child.pid, signal.SIGINT)
        wait_for(lambda: child.exit_code is not None)
        assert child.exit_code == 0, child.last_words()
        assert {pid: name for pid, name in processes.items() if is_alive(pid)} == {}

        child.start()
        child.wait_until_ready(60)
        kept = datapoints(history_url(child))
        assert kept > seen
        wait_for(lambda: datapoints(url) > kept)

        broker = next(pid for pid, name in started_by(child.pid).items() if "mosquitto" in name)
        os.kill(broker, signal.SIGKILL)
        wait_for(lambda: child.exit_code is not None)
        assert child.exit_code == 1
        assert any(line.startswith("broker was killed by SIGKILL") for line in child.last_lines)
    finally:
        child.stop(grace=60)


def test_a_taken_port_is_named_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = dev(tmp_path / "var", REDIS_PORT=port)
        child.start()
        wait_for(lambda: child.exit_code is not None)
    assert child.exit_code == 1
    assert child.last_words().endswith(
        f"Port {port} (REDIS_PORT) is taken. Stop what uses it, or set REDIS_PORT to another port."
    )
