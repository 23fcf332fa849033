"""What ./scripts/dev promises about the programs it runs."""

import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import wait_for

from scripts.dev import StartError, check_ports
from scripts.supervisor import Child, Service, ServiceError, Supervisor

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"


def program(name: str, code: str, vital: bool = False) -> Service:
    return Service(name, [sys.executable, "-c", code], says="ready", vital=vital)


def exists(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_a_program_that_is_killed_is_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    with Supervisor(first_delay=0.1) as supervisor, ThreadPoolExecutor() as threads:
        child = supervisor.start(program("worker", SLEEP))
        watching = threads.submit(supervisor.watch)
        first = child.pid
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: child.pid != first and child.is_ready())
        supervisor.stopping.set()
        watching.result()
    assert "worker was killed by SIGKILL; it is started again in 0.1 s" in capsys.readouterr().out


def test_a_program_that_keeps_dying_is_started_again_ever_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "starts"
    code = f"open({str(log)!r}, 'a').write('x'); print('ready', flush=True); import time; time.sleep(0.3); exit(3)"
    with Supervisor(first_delay=0.1) as supervisor, ThreadPoolExecutor() as threads:
        supervisor.start(program("api", code))
        watching = threads.submit(supervisor.watch)
        wait_for(lambda: len(log.read_text()) == 4)
        supervisor.stopping.set()
        watching.result()
    delays = [line.split(" in ")[1] for line in capsys.readouterr().out.splitlines() if "exit code 3" in line]
    assert delays[:3] == ["0.1 s", "0.2 s", "0.4 s"]


def test_the_end_of_a_vital_program_ends_all_with_its_last_words() -> None:
    with Supervisor() as supervisor:
        api = supervisor.start(program("api", SLEEP))
        code = "import time; print('ready', flush=True); time.sleep(0.5); print('disk full'); exit(3)"
        supervisor.start(program("database", code, vital=True))
        with pytest.raises(ServiceError, match=r"database ended with exit code 3.*\n.*\n  disk full"):
            supervisor.watch()
    assert api.exit_code == -signal.SIGTERM


def test_programs_are_stopped_in_reverse_order(tmp_path: Path) -> None:
    log = tmp_path / "stops"
    code = """
import signal, sys
def stop(*_):
    open(r"{log}", "a").write("{name} ")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
"""
    with Supervisor() as supervisor:
        for name in ("database", "api", "kit"):
            supervisor.start(program(name, code.format(log=log, name=name)))
    assert log.read_text() == "kit api database "


def test_a_program_that_does_not_become_ready_is_reported_with_its_last_words() -> None:
    with (
        pytest.raises(ServiceError, match=r"api ended with exit code 1.*\n  no such table"),
        Supervisor() as supervisor,
    ):
        supervisor.start(program("api", "raise SystemExit('no such table')"))


def test_a_program_that_ignores_sigterm_is_killed_with_all_that_it_started() -> None:
    child = Child(
        program(
            "api",
            """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
print("ready", flush=True)
while True: signal.pause()
""",
        )
    )
    child.start()
    child.wait_until_ready()
    grandchild = int(child.last_lines[0])
    child.stop(grace=0.1)
    assert child.exit_code == -signal.SIGKILL
    wait_for(lambda: not exists(grandchild))


def test_a_taken_port_is_named_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"Port {port} \(MQTT_PORT\) is taken"):
            check_ports({"MQTT_PORT": port})


def test_two_variables_with_one_port_are_named() -> None:
    with pytest.raises(StartError, match="API_PORT and REDIS_PORT are both 1024"):
        check_ports({"API_PORT": 1024, "REDIS_PORT": 1024})
