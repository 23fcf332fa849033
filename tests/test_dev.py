"""./scripts/dev: the whole platform from an empty directory to growing history, and then once more."""

import json
import os
import re
import shlex
import signal
import socket
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from mqtt_device import MqttDevice
from waiting import wait_for

from scripts.dev import PORTS, shown
from scripts.services import free_port
from scripts.supervisor import ROOT, Child, Service


class Dev(Child):
    """A ./scripts/dev on free ports that keeps all it says; ready when it has printed its curl line."""

    def __init__(self, var: Path, *options: str, **ports: int) -> None:
        env = {variable: str(ports.get(variable) or free_port()) for variable in PORTS}
        env |= {"VAR_DIR": str(var), "DATABASE_URL": "", "MQTT_URL": "", "REDIS_URL": "", "MAIL_URL": ""}
        env["HOME"] = str(var.parent)
        self.said: list[str] = []
        super().__init__(
            Service("dev", [sys.executable, "-m", "scripts.dev", *options], env, says="curl "), self.said.append
        )

    def processes(self) -> dict[str, int]:
        """The process id of each program, which is that of its process group too."""
        ready = re.findall(r"(\w+) is ready, process (\d+)", "\n".join(self.said))
        return {name: int(pid) for name, pid in ready}

    def datapoints(self) -> int:
        """How many datapoints there are in the history that the curl line asks for."""
        line = next(line for line in self.said if "curl " in line)
        with urllib.request.urlopen(shlex.split(line)[-1], timeout=30) as response:
            return int(json.load(response)["sample_size"])


def has_processes(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def test_history_grows_until_ctrl_c_and_goes_on_growing_after_the_next_start(tmp_path: Path) -> None:
    dev = Dev(tmp_path / "var")
    dev.start()
    try:
        dev.wait_until_ready(180)
        wait_for(lambda: dev.datapoints() > 0)
        seen = dev.datapoints()
        wait_for(lambda: dev.datapoints() > seen)

        os.kill(dev.pid, signal.SIGINT)
        wait_for(lambda: dev.exit_code is not None)
        assert dev.exit_code == 0, dev.last_words()
        assert set(dev.processes()) == {
            "database",
            "redis",
            "broker",
            "mail",
            "api",
            "forward",
            "ingestor",
            "worker",
            "keeper",
            "scheduler",
            "kit",
        }
        assert [name for name, pid in dev.processes().items() if has_processes(pid)] == []
        # RQ's four lines a job do not push the addresses out of sight
        assert [line for line in dev.said if '"logger":"rq.' in line] == []
        assert [path.name for path in tmp_path.iterdir()] == ["var"], "nothing is written beside its data"

        dev.start()
        dev.wait_until_ready(180)
        kept = dev.datapoints()
        assert kept > seen
        wait_for(lambda: dev.datapoints() > kept)
    finally:
        dev.stop(grace=60)


def test_with_tls_devices_have_a_door_with_a_certificate_and_the_death_of_the_broker_ends_everything(
    tmp_path: Path,
) -> None:
    dev = Dev(tmp_path / "var", "--tls")
    dev.start()
    try:
        dev.wait_until_ready(180)
        url, file = re.findall(r"(mqtts://\S+), with --cafile (\S+),", "\n".join(dev.said))[0]
        with MqttDevice(url, "nobody", ca=Path(file)) as stranger:  # it shakes hands, and is not let in
            assert not stranger.is_in

        os.kill(dev.processes()["broker"], signal.SIGKILL)
        wait_for(lambda: dev.exit_code is not None)
        assert dev.exit_code == 1
        assert [name for name, pid in dev.processes().items() if has_processes(pid)] == []
        assert any(line.startswith("broker was killed by SIGKILL. Its last words:") for line in dev.said)
    finally:
        dev.stop(grace=60)


def test_a_taken_port_is_named_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        dev = Dev(tmp_path / "var", REDIS_PORT=port)
        dev.start()
        wait_for(lambda: dev.exit_code is not None)
    way_out = "Stop what uses it, or set REDIS_PORT to another port."
    assert dev.exit_code == 1
    assert dev.last_words().endswith(f"Its last words:\n  Port {port} (REDIS_PORT) is taken. {way_out}")


def test_what_lies_in_the_checkout_is_named_as_one_types_it_there(tmp_path: Path) -> None:
    assert [shown(path) for path in (ROOT / "var" / "mail", tmp_path)] == ["./var/mail", str(tmp_path)]
