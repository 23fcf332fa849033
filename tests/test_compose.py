"""docker/: the production set-up, piece by piece, since no test here has a container engine."""

import http.client
import json
import os
import re
import shutil
import ssl
import stat
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import compose_spec
import pytest
import yaml
from composed import DOCKER, RULES, Composed, Dockerfile, in_waves, read, targets, which
from conftest import empty_database, running
from mqtt_device import MqttDevice
from streams import Stream
from waiting import wait_for

from scripts import lock
from scripts.production import make_all
from scripts.services import free_port
from scripts.supervisor import ROOT, Service

LOCAL = {"DOMAIN": "localhost"}
KITS = "compose.kits.yaml"
needs_caddy = pytest.mark.skipif(not which("caddy"), reason="caddy is missing: apt-get install caddy")
needs_prometheus = pytest.mark.skipif(
    not (which("prometheus") and which("prometheus-node-exporter")),
    reason="Prometheus is missing: apt-get install prometheus prometheus-node-exporter",
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """compose.yaml as compose reads it."""
    return read((DOCKER / "compose.yaml").read_text(), LOCAL)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Everything, started in order, each once what it depends on is well."""
    with empty_database(tmp_path_factory.mktemp("database")) as url:
        composed = Composed(tmp_path_factory.mktemp("composed"), url)
        try:
            for names in in_waves(composed.services):
                composed.start(*(name for name in names if composed.has(name)))
            yield composed
        finally:
            composed.stop()


@pytest.fixture(scope="module")
def trust(composed: Composed) -> ssl.SSLContext:
    """Of a client that trusts the certificates which init.sh made."""
    return ssl.create_default_context(cafile=composed.secrets / "tls" / "ca.pem")


class Https:
    """Somebody who asks Caddy."""

    def __init__(self, composed: Composed, trust: ssl.SSLContext) -> None:
        self._port, self._trust = composed.ports["https"], trust

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[Any, Any]:
        """Return the answer's headers and its JSON."""
        connection = http.client.HTTPSConnection("localhost", self._port, timeout=30, context=self._trust)
        headers = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.headers, json.loads(text)


@pytest.fixture
def anybody(composed: Composed, trust: ssl.SSLContext) -> Https:
    return Https(composed, trust)


def test_the_compose_files_say_what_compose_understands(compose: dict[str, Any]) -> None:
    for file in DOCKER.glob("compose*.yaml"):
        whole = read(file.read_text(), LOCAL)
        ours = {key: value for key, value in whole.items() if not key.startswith("x-")}
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(ours))


def test_every_service_is_held_back(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        is_for_once = name in ("migrate", "grafana-role")
        assert service["restart"] == ("no" if is_for_once else "unless-stopped"), name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "healthcheck" in service or service["image"] == "almanac:latest", name
        assert service["image"] == "almanac:latest" or re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", service["image"]), name
        if name != "database":  # its image changes the owner of its files
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name


def test_only_the_api_and_devices_are_let_in_from_outside(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    outside = {name: [port for port in ports if not port.startswith("127.0.0.1:")] for name, ports in published.items()}

    assert {name: ports for name, ports in outside.items() if ports} == {
        "broker": ["8883:8883"],
        "caddy": ["80:80", "443:443", "443:443/udp"],
    }
    assert compose["networks"]["inner"] == {"internal": True}
    assert {name for name, service in compose["services"].items() if service["networks"] == ["inner"]} >= {
        "database",
        "redis",
    }


def test_a_service_is_given_the_secrets_that_it_names_and_each_of_them_is_made(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    make_all(tmp_path, "localhost")
    for name, service in compose["services"].items():
        named = set(re.findall(r"/run/secrets/(\w+)", json.dumps(service)))
        assert named <= set(service.get("secrets", ())), name
    for secret in compose["secrets"].values():
        assert (tmp_path / secret["file"]).exists(), secret
    granted = {secret for service in compose["services"].values() for secret in service.get("secrets", ())}
    assert granted == set(compose["secrets"])


def test_secrets_are_random_and_nobody_else_on_the_host_reads_them(tmp_path: Path) -> None:
    def made(place: Path) -> dict[str, str]:
        make_all(place, "sensors.example.org")
        return {file.name: file.read_text() for file in (place / "secrets").iterdir() if file.is_file()}

    one, other = made(tmp_path / "one"), made(tmp_path / "other")

    assert {name for name in one if one[name] == other[name]} == {"mail_url"}  # which is the operator's to fill in
    assert all(len(value) >= 43 for name, value in one.items() if name != "mail_url")
    assert stat.S_IMODE((tmp_path / "one" / "secrets").stat().st_mode) == 0o700


def test_no_file_of_the_repository_holds_a_password() -> None:
    texts = [file.read_text() for file in DOCKER.rglob("*") if file.suffix in (".ini", ".sh", ".sql", ".yaml", ".yml")]

    assert not re.search(r"(?i)password['\"]?\s*[:=]\s*['\"]?\w(?!assword')", "".join(texts))


def test_init_run_again_keeps_what_it_made_and_brings_the_acls_up_to_date(tmp_path: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name != "passwords"}

    make_all(tmp_path, "sensors.example.org")
    before = contents()
    acl = tmp_path / "secrets" / "broker" / "devices.acl"
    acl.unlink()
    acl.write_text("of an older release")
    make_all(tmp_path, "sensors.example.org")

    assert contents() == before


def test_init_asks_for_a_name_before_it_builds_keeps_that_name_and_takes_no_other(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    shutil.copy(DOCKER / "init.sh", tmp_path / "docker")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/done\n')
    docker.chmod(0o755)
    env = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}", "DOMAIN": "of.the.shell"}

    def init(*words: str) -> str:
        """What it says in the way, or what is done with docker, but for the build."""
        script = ["bash", tmp_path / "docker" / "init.sh", *words]
        ran = subprocess.run(script, env=env, capture_output=True, text=True, timeout=30)
        done = tmp_path / "done"
        return done.read_text().splitlines()[-1] if ran.returncode == 0 else f"{ran.stderr}{done.exists()}"

    for words in ([], [""], ["--help"]):
        told = init(*words)
        assert told.startswith("Name the host that people and devices reach")
        assert told.endswith("False"), "nothing was built"
    assert init("localhost").endswith("-m scripts.production localhost")
    (tmp_path / "docker" / ".env").write_text("DOMAIN=localhost\n")
    assert init().endswith("-m scripts.production localhost")
    assert init("sensors.example.org").startswith("docker/.env is of localhost.")


def test_kits_without_credentials_get_in_only_with_their_own_compose_file(tmp_path: Path) -> None:
    make_all(tmp_path, "localhost")
    broker = tmp_path / "secrets" / "broker"
    plain, kits = (
        re.findall(r"^(?:listener|allow_anonymous) .*", (broker / file).read_text(), re.MULTILINE)
        for file in ("mosquitto.conf", "with-kits.conf")
    )
    override = read((DOCKER / KITS).read_text(), LOCAL)["services"]["broker"]

    assert plain == ["listener 8883", "allow_anonymous false", "listener 1885", "allow_anonymous false"]
    assert kits == [*plain, "listener 1883", "allow_anonymous true"]
    assert override == {"environment": {"CONFIGURATION": "with-kits.conf"}, "ports": ["1883:1883"]}


def test_the_image_runs_as_nobody_special_and_copies_all_that_is_packaged() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) ", dockerfile, re.MULTILINE))
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert Dockerfile().user == "almanac"
    assert copied == {"app", "ingestor", "migrations", "sql"} == lock.packages()
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert ignored[1] == "*"


def test_the_image_is_built_from_what_the_lock_names_with_a_hash_each() -> None:
    platform = lock.platform()

    assert {"flask", "gunicorn", "numpy", "psycopg-binary", "rq"} <= platform
    assert not {"pytest", "pyarrow", "mypy", "hypothesis"} & platform
    assert all("--hash=sha256:" in text for text in lock.locked().values())
    assert lock.needed({"hatchling"}) >= {"hatchling", "packaging", "pathspec"}


def test_everything_starts_in_order_and_is_well(composed: Composed) -> None:
    for name in composed.metrics:
        assert composed.is_healthy(name), composed.children[name].last_words()


@needs_caddy
def test_a_reading_goes_the_whole_way_from_a_device_to_whoever_listens(
    composed: Composed, anybody: Https, trust: ssl.SSLContext
) -> None:
    account = {"username": "composed", "email": "composed@example.org", "password": "correct horse battery"}
    anybody.ask("POST", "/v0/users", account)
    token = anybody.ask("POST", "/v0/sessions", account)[1]["access_token"]
    device = anybody.ask("POST", "/v0/devices", {"name": "Balcony"}, {"Authorization": f"Bearer {token}"})[1]
    ca = composed.secrets / "tls" / "ca.pem"

    def gets_in() -> bool:
        with MqttDevice(f"mqtts://localhost:{composed.ports['broker']}", device["device_token"], ca=ca) as kit:
            return kit.is_in

    wait_for(gets_in)
    address = f"https://localhost:{composed.ports['https']}"
    with (
        Stream(address, token=token, device_id=device["id"], trust=trust) as stream,
        MqttDevice(f"mqtts://localhost:{composed.ports['broker']}", device["device_token"], ca=ca) as kit,
    ):
        assert kit.publish(
            f"device/sck/{device['device_token']}/readings",
            b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":55,"value":21.5}]}]}',
        )
        assert stream.datapoints(1)[0][::3] == (device["id"], 21.5)

    query = f"/v0/devices/{device['id']}/readings?sensor_id=55&rollup=1d&from=2026-01-15"
    assert anybody.ask("GET", query)[1]["readings"] == [["2026-01-15T00:00:00Z", 21.5]]


@needs_caddy
def test_an_address_that_a_client_makes_up_buys_nothing(composed: Composed, anybody: Https) -> None:
    left = [
        int(anybody.ask("GET", "/v0/devices/2147483647", headers=forged)[0]["RateLimit-Remaining"])
        for forged in (
            {},
            {"X-Forwarded-For": "203.0.113.7"},
            {"X-Forwarded-For": "203.0.113.8, 203.0.113.9"},
            {"Forwarded": "for=203.0.113.10", "X-Real-IP": "203.0.113.10"},
        )
    ]

    assert [left[0] - each for each in left] == [0, 1, 2, 3]


@needs_prometheus
def test_prometheus_sees_every_process_and_all_that_alerts_and_boards_ask_for(composed: Composed) -> None:
    def prometheus(path: str, **query: str) -> Any:
        address = f"http://127.0.0.1:{composed.ports['prometheus']}/api/v1/{path}?{urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    asked_for = set(re.findall(r"[\w-]+(?=:9100)", (DOCKER / "prometheus" / "prometheus.yml").read_text()))
    assert asked_for == {*composed.metrics, "node-exporter"}
    wait_for(lambda: {target["health"] for target in prometheus("targets")["activeTargets"]} == {"up"})
    # What has a label is there once it has happened.
    composed.query("INSERT INTO quarantine (topic, payload, reason, detail) VALUES ('t', '', 'unreadable', '')")
    with urllib.request.urlopen(f"http://127.0.0.1:{composed.ports['api']}/v0/devices", timeout=10):
        pass
    asked = [rule["expr"] for rule in RULES] + [target["expr"] for target in targets("operator")]
    wanted = {name for expression in asked for name in re.findall(r"\b(?:almanac|node|process)_\w+|\bup\b", expression)}
    wanted -= {"almanac_site_lag_seconds", "almanac_site_lost"}  # there are no other sites here
    assert len(wanted) > 30
    wait_for(lambda: wanted <= set(prometheus("label/__name__/values")))

    groups = prometheus("rules")["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == [rule["alert"] for rule in RULES]
    wait_for(lambda: all(rule["health"] == "ok" for g in prometheus("rules")["groups"] for rule in g["rules"]))
    for expression in asked:
        prometheus("query", query=expression)
    assert prometheus("query", query='sum(up{job="almanac"})')["result"][0]["value"][1] == str(len(composed.metrics))


@needs_caddy
def test_the_broker_gets_the_certificate_that_caddy_got_last(tmp_path: Path) -> None:
    domain, data, tls = "sensors.example.test", tmp_path / "data", tmp_path / "docker" / "secrets" / "tls"
    tls.mkdir(parents=True)
    (tls / "server.pem").write_text("the one before")
    shutil.copy(DOCKER / "renew.sh", tmp_path / "docker")
    (tmp_path / "docker" / ".env").write_text(f"DOMAIN={domain}\n")
    # What is for Caddy's container is done here, on Caddy's files; the rest is noted.
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(
        '#!/usr/bin/env bash\nif [ "$3" = -T ]; then exec sh -c "${7//\\/data/$DATA}"; fi\necho "$*" >>"$DATA/done"\n'
    )
    docker.chmod(0o755)
    ports = f"http_port {free_port()}\n\thttps_port {free_port()}"
    options = f"admin off\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n\t{ports}"
    (tmp_path / "Caddyfile").write_text(f"{{\n\t{options}\n}}\n{domain} {{\n\ttls internal\n}}\n")
    before = data / "caddy" / "certificates" / "another-authority" / domain
    before.mkdir(parents=True)
    for ending in ("crt", "key"):
        (before / f"{domain}.{ending}").write_text("of another authority")
        os.utime(before / f"{domain}.{ending}", (0, 0))
    env = {"DATA": str(data), "XDG_DATA_HOME": str(data), "HOME": str(tmp_path)}
    env["PATH"] = f"{docker.parent}:{os.environ['PATH']}"

    def renew() -> None:
        subprocess.run(["bash", tmp_path / "docker" / "renew.sh"], env={**os.environ, **env}, check=True, timeout=30)

    caddy = ["caddy", "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
    with running(Service("caddy", caddy, env, says="certificate obtained")):
        renew()
        renew()

    ssl.create_default_context().load_cert_chain(tls / "server.pem", tls / "server.key")  # they belong together
    assert (data / "done").read_text() == "compose up --detach --force-recreate --no-deps broker\n", "once for one"


def test_a_stopped_process_ends_well(composed: Composed) -> None:
    """The last of this file, for what it leaves."""
    codes = composed.stop()

    assert {name: codes[name] for name in composed.ours} == dict.fromkeys(composed.ours, 0)
