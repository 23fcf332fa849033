"""The API as it is served, and somebody who listens to its live stream, as a browser's EventSource does."""

import json
import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import SSLContext
from threading import Event, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import suite_log
from caller import Caller
from conftest import ALMANAC

from app.config import Config
from scripts import services
from scripts.supervisor import Child, Service


class Said(NamedTuple):
    """One event."""

    name: str
    data: dict[str, Any]
    id: str = ""


class Stream:
    """An open stream, for a `with` block, which is entered once the server has begun to answer."""

    def __init__(
        self,
        address: str,
        path: str = "/v0/stream",
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        last_event_id: str = "",
        trust: SSLContext | None = None,
        **query: Any,
    ) -> None:
        self.last_event_id = last_event_id
        self.heard: queue.Queue[Said] = queue.Queue()
        self.has_ended = Event()
        self._path = f"{path}?{urlencode(query)}"
        self._headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        if last_event_id:
            self._headers["Last-Event-ID"] = last_event_id
        where = urlsplit(address)
        host, port = where.hostname or "", where.port
        self._connection = (
            HTTPSConnection(host, port, timeout=60, context=trust) if trust else HTTPConnection(host, port, timeout=60)
        )

    def __enter__(self) -> Self:
        self._connection.request("GET", self._path, headers=self._headers)
        self._socket = self._connection.sock  # which the connection forgets where its answer is the last
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.body = {} if self.status == 200 else json.loads(self._answer.read())
        self._begun = Event()
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        if self.status == 200:
            assert self._begun.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._answer.close()
        self._connection.close()

    def next(self, seconds: float = 15) -> Said:
        """Return the next event."""
        return self.heard.get(timeout=seconds)

    def datapoints(self, count: int) -> list[tuple[int, str, int, float]]:
        """Return device, time, sensor and value of so many datapoints more, and of what came with the last."""
        found: list[tuple[int, str, int, float]] = []
        while len(found) < count:
            said = self.next()
            assert said.name == "readings", said
            found += datapoints_of(said)
        return found

    def hears_nothing(self, seconds: float = 1.5) -> bool:
        """Whether nothing comes: longer than a server without a bell waits before it looks."""
        with suppress(queue.Empty):
            self.heard.get(timeout=seconds)
            return False
        return True

    def _listen(self) -> None:
        name, data, last_id = "message", [], self.last_event_id
        with suppress(OSError, HTTPException, ValueError, AttributeError):
            while line := self._answer.readline():
                field, _, value = line.decode().rstrip("\n").partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    last_id = value
                elif not field and line == b"\n":
                    self.last_event_id = last_id
                    if data:
                        self.heard.put(Said(name, json.loads("\n".join(data)), last_id))
                    name, data = "message", []
                    self._begun.set()
        self.has_ended.set()


def datapoints_of(said: Said) -> Iterator[tuple[int, str, int, float]]:
    for reading in said.data["readings"]:
        for sensor in reading["sensors"]:
            yield said.data["device_id"], reading["recorded_at"], sensor["id"], sensor["value"]


@contextmanager
def served(config: Config, **more_env: str) -> Iterator[str]:
    """The API as `almanac serve` runs it, in one process with two threads."""
    port = services.free_port()
    env = {"DATABASE_URL": config.database_url, "REDIS_URL": config.redis_url, "SECRET_KEY": config.secret_key}
    command = [ALMANAC, "serve", "--port", str(port), "--workers", "1", "--threads", "2"]
    child = Child(
        Service("api", command, {**env, "RATE_LIMIT_ANONYMOUS": "0", **more_env}, says="Booting worker"),
        suite_log.lines.append,
    )
    child.start()
    try:
        child.wait_until_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


def send(caller: Caller, device_id: int, **values: float) -> None:
    """Send values of sensor 55 by time, as `t08_30=21.4`; `b` in front makes it the sensor 56."""
    data = [
        {
            "recorded_at": f"2026-01-15T{name[-5:].replace('_', ':')}:00Z",
            "sensors": [{"id": 56 if name.startswith("b") else 55, "value": value}],
        }
        for name, value in values.items()
    ]
    answer = caller.post(f"/v0/devices/{device_id}/readings", {"data": data})
    assert answer.status_code == 200, answer.text


def point(device: dict[str, Any], hour: str, value: float, sensor: int = 55) -> tuple[int, str, int, float]:
    return device["id"], f"2026-01-15T{hour}:00Z", sensor, value
