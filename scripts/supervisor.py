"""Start programs in order, keep them running and stop them in reverse, for ./scripts/dev and the tests."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Self

from ingestor.stopping import Stopping

ROOT = Path(__file__).resolve().parent.parent
COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92")


class ServiceError(Exception):
    """A service did not become ready, or one that the others cannot do without has ended."""


@dataclass(frozen=True)
class Service:
    """A program to run, and how one knows that it is ready.

    It is ready once it has printed a line that contains `says` and `probe` is true. When a `vital`
    service ends, everything ends; any other one is started again.
    """

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    says: str = ""
    probe: Callable[[], bool] = lambda: True
    vital: bool = False


class Child:
    """One run of a service after another: its process group, its output and its end."""

    def __init__(self, service: Service, show: Callable[[str], None] | None = None) -> None:
        self.service = service
        self.last_lines: deque[str] = deque(maxlen=30)
        self.started_at = 0.0
        self._show = show
        self._spoke = threading.Event()

    def start(self) -> None:
        """Start the program in a process group of its own: a Ctrl-C in the terminal reaches us alone."""
        self._spoke.clear()
        self.last_lines.clear()
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            self.service.command,
            cwd=ROOT,
            env={**os.environ, **self.service.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self.last_lines.append(line.rstrip())
                if self.service.says in line:
                    self._spoke.set()
                if self._show:
                    self._show(line.rstrip())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, negative for the signal that ended it."""
        return self._process.poll()

    def is_ready(self) -> bool:
        return (self._spoke.is_set() or not self.service.says) and self.service.probe()

    def wait_until_ready(self, seconds: float = 60, stopping: Stopping | None = None) -> None:
        """Return when it is ready; KeyboardInterrupt when `stopping` is set meanwhile.

        ServiceError with its last words when it ends before, or needs more than `seconds`.
        """
        stopping = stopping or Stopping()
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.exit_code is not None:
                raise ServiceError(self.last_words())
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.service.name} was not ready after {seconds:g} s.{self._quote()}")
            if stopping.wait(0.05):
                raise KeyboardInterrupt

    def stop(self, grace: float = 10) -> None:
        """End it: SIGTERM, again after `grace` seconds, and two seconds later SIGKILL to its whole group.

        To an RQ worker the second SIGTERM means: do not wait for the running job, end that too.
        """
        for patience in (grace, 2):
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        self.kill()

    def kill(self) -> None:
        """End what is left of its process group at once, as a crash would."""
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(1)

    def end(self) -> str:
        """How its process ended, in words."""
        code = self._process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def last_words(self) -> str:
        """How it ended, and the last lines of its output."""
        self._reader.join(1)
        return f"{self.service.name} {self.end()}.{self._quote()}"

    def _quote(self) -> str:
        lines = "\n".join(f"  {line}" for line in list(self.last_lines))
        return f" Its last words:\n{lines}" if lines else " It said nothing."


@contextmanager
def running(service: Service, show: Callable[[str], None] | None = None) -> Iterator[Child]:
    """A service from its readiness to its end, for a `with` block; `show` gets its lines."""
    child = Child(service, show)
    child.start()
    try:
        child.wait_until_ready()
        yield child
    finally:
        child.stop()


class Supervisor:
    """Its children, in the order they were started; leaving the `with` block stops them in reverse.

    Setting `stopping` (a signal handler may) makes `start`, `run` and `watch` give up what they wait for.
    """

    def __init__(self, first_delay: float = 0.5) -> None:
        self.stopping = Stopping()
        self.children: list[Child] = []
        self._first_delay = first_delay
        self._failures: dict[str, int] = {}
        self._restart_at: dict[str, float] = {}
        self._colours = cycle(COLOURS)
        self._printing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.children):
            child.stop()

    def say(self, line: str, name: str = "almanac", colour: str = "1") -> None:
        """Print a line under a name. A reader that has gone (`| head`) means: stop."""
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        prefix = f"\033[{colour}m{name:<9}|\033[0m" if coloured else f"{name:<9}|"
        try:
            with self._printing:
                print(prefix, line, flush=True)
        except BrokenPipeError:
            self.stopping.set()

    def start(self, service: Service, seconds: float = 60) -> Child:
        """Start a service and return once it is ready."""
        child = self._child(service)
        child.start()
        self.children.append(child)
        child.wait_until_ready(seconds, self.stopping)
        self.say(f"{service.name} is ready, process {child.pid}")
        return child

    def run(self, service: Service) -> list[str]:
        """Run a program to its end and return its last lines; ServiceError unless it succeeds."""
        child = self._child(service)
        child.start()
        try:
            while child.exit_code is None:
                if self.stopping.wait(0.05):
                    raise KeyboardInterrupt
            if child.exit_code != 0:
                raise ServiceError(child.last_words())
        finally:
            child.stop()
        return list(child.last_lines)

    def watch(self) -> None:
        """Start again what ends until `stopping` is set; ServiceError with its last words if it was vital."""
        while not self.stopping.wait(0.1):
            for child in self.children:
                if child.exit_code is None:
                    continue
                if child.service.vital:
                    raise ServiceError(child.last_words())
                self._revive(child)

    def _revive(self, child: Child) -> None:
        name, now = child.service.name, time.monotonic()
        if name not in self._restart_at:
            child.kill()  # what it left behind may hold its port
            steady = now - child.started_at > 60
            self._failures[name] = 0 if steady else self._failures.get(name, -1) + 1
            delay = min(self._first_delay * 2 ** self._failures[name], 30)
            self._restart_at[name] = now + delay
            self.say(f"{name} {child.end()}; it is started again in {delay:g} s")
        elif now >= self._restart_at[name]:
            del self._restart_at[name]
            child.start()

    def _child(self, service: Service) -> Child:
        colour = next(self._colours)
        return Child(service, lambda line: self.say(line, service.name, colour))
