"""How gunicorn's threads share out connections: who asks again at once keeps his, unless others wait."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ALMANAC, running

from app.config import Config
from scripts import services
from scripts.supervisor import Service

THREADS = 2
REQUESTS = 200


class Api(NamedTuple):
    """One process of it."""

    port: int
    pid: int

    def wakings(self) -> int:
        """Return how often its main thread, which hands connections to the others, has waited for something."""
        status = Path(f"/proc/{self.pid}/task/{self.pid}/status").read_text()
        return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[0])


@pytest.fixture
def api(config: Config) -> Iterator[Api]:
    port = services.free_port()
    env = {"DATABASE_URL": config.database_url, "REDIS_URL": config.redis_url, "SECRET_KEY": config.secret_key}
    command = [ALMANAC, "serve", "--port", str(port), "--workers", "1", "--threads", str(THREADS)]
    with running(Service("api", command, env, says="Booting worker")) as master:
        (worker,) = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
        yield Api(port, int(worker))


def ask(connection: HTTPConnection) -> int:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_who_asks_again_at_once_is_answered_by_the_same_thread(api: Api) -> None:
    with closing(HTTPConnection("127.0.0.1", api.port)) as connection:
        ask(connection)
        wakings = [api.wakings()]
        for _ in range(REQUESTS // 10):
            assert [ask(connection) for _ in range(10)] == [200] * 10
            wakings.append(api.wakings())

        # on a busy machine this client does not always ask at once
        assert min(later - earlier for earlier, later in pairwise(wakings)) < 5


def test_requests_that_came_together_are_answered_by_the_same_thread(api: Api) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as client:
        before, answers = api.wakings(), b""
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: almanac\r\n\r\n" * REQUESTS)
        while answers.count(b"200 OK") < REQUESTS:
            answers += (part := client.recv(65536))
            assert part

        assert api.wakings() - before < REQUESTS / 2


def test_more_connections_than_threads_are_answered_in_turns(api: Api) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(HTTPConnection("127.0.0.1", api.port))) for _ in range(3 * THREADS)]
        before = api.wakings()
        for _ in range(REQUESTS // 20):
            assert [ask(connection) for connection in connections] == [200] * 3 * THREADS  # before they are closed
            assert {ask(connections[0]) for _ in range(20)} == {200}

        assert api.wakings() - before > 1.5 * REQUESTS  # once for a request, once for its end
