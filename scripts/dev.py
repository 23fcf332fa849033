"""Start the whole platform on this machine, in order, and stop it in reverse: what ./scripts/dev runs."""

import argparse
import fcntl
import json
import os
import secrets
import signal
import socket
import string
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from scripts import services
from scripts.mosquitto import Broker
from scripts.supervisor import ROOT, Service, ServiceError, Supervisor
from scripts.tls import make_certificates

# Each port with its default, and the variable that names a server elsewhere, for which it is then not needed.
PORTS = {
    "API_PORT": (5000, ""),
    "MQTT_PORT": (1883, "MQTT_URL"),
    "MQTT_LOGIN_PORT": (1884, "MQTT_URL"),
    "MQTT_PLATFORM_PORT": (1885, "MQTT_URL"),
    "MQTT_TLS_PORT": (8883, "MQTT_URL"),
    "DATABASE_PORT": (5433, "DATABASE_URL"),
    "REDIS_PORT": (6390, "REDIS_URL"),
    "MAIL_PORT": (1025, "MAIL_URL"),
}
HELP = """\
Start TimescaleDB, Redis, an MQTT broker, a mail catcher, every process of the platform and
a simulated kit on this machine, reachable from this machine only.

Ctrl-C stops all of it. Its data stay in VAR_DIR, and the next start finds them.
"""
VARIABLES = """\
environment:
  API_PORT         5000   the REST API and its pages
  MQTT_PORT        1883   broker, for kits without credentials
  MQTT_LOGIN_PORT  1884   broker, for devices that log in with their token
  MQTT_TLS_PORT    8883   the same over TLS, and then there only: --tls
  MQTT_PLATFORM_PORT
                   1885   broker, for Almanac's own programs
  DATABASE_PORT    5433   the embedded TimescaleDB
  REDIS_PORT       6390   Redis
  MAIL_PORT        1025   a mail server that keeps all mail in VAR_DIR/mail
  VAR_DIR          ./var  data, queues and secrets; a relative path starts at the checkout
  DATABASE_URL     use this server instead of starting one: postgresql://...
  MQTT_URL         the same for the broker: mqtt://user:password@host:port;
                   the simulated kit then goes to that host's MQTT_PORT
  MQTT_ADMIN_URL   with MQTT_URL: mqtt://:password@host:port of its listener for devices,
                   where `almanac broker keep` is to let them in
  REDIS_URL        the same for Redis: redis://...
  MAIL_URL         the same for mail: smtp://user:password@host:587, smtps://...
  SECRET_KEY       signs the API's tokens; by default one is made and kept in VAR_DIR
"""


class StartError(Exception):
    """The platform cannot start as it is asked to; the message says what to change."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./scripts/dev",
        description=HELP,
        epilog=VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--no-kit", action="store_true", help="leave the simulated kit out")
    parser.add_argument("--tls", action="store_true", help="let devices log in over TLS only; makes certificates")
    arguments = parser.parse_args()
    supervisor = Supervisor()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, lambda *_: supervisor.stopping.set())
    try:
        var = (ROOT / (os.environ.get("VAR_DIR") or "var")).resolve()
        ports = {variable: read_port(variable) for variable in PORTS}
        del ports["MQTT_LOGIN_PORT" if arguments.tls else "MQTT_TLS_PORT"]
        with locked(var), supervisor:
            check_ports({name: port for name, port in ports.items() if not os.environ.get(PORTS[name][1])})
            start(supervisor, var, ports, kit=not arguments.no_kit)
            supervisor.watch()
    except KeyboardInterrupt:
        pass
    except (StartError, ServiceError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    supervisor.say("stopped")
    return 0


def start(supervisor: Supervisor, var: Path, ports: Mapping[str, int], kit: bool) -> None:
    """Start everything, each part when those before it are ready, and say where it is."""
    env = start_servers(supervisor, var, ports)
    python, almanac = sys.executable, Path(sys.executable).with_name("almanac")

    # A kit's token: its firmware takes exactly six characters.
    alphabet = string.ascii_lowercase + string.digits
    token = services.keep(var / "token", lambda: "".join(secrets.choice(alphabet) for _ in range(6)))
    for command in (["migrate"], ["seed"], ["demo", "--token", token]):
        lines = supervisor.run(Service(command[0], [almanac, *command], env))
    device_id = next(json.loads(line)["device_id"] for line in reversed(lines) if '"device_id"' in line)

    address = f"http://127.0.0.1:{ports['API_PORT']}"
    supervisor.start(Service("api", [almanac, "serve"], env, probe=lambda: is_ready(ports["API_PORT"])))
    supervisor.start(Service("ingestor", [python, "-m", "ingestor"], env, says='"event":"subscribed"'))
    supervisor.start(Service("worker", [almanac, "worker"], env, says='"event":"working"'))
    supervisor.start(Service("scheduler", [almanac, "schedule"], env, says='"event":"active"'))
    supervisor.start(Service("forward", [almanac, "forward"], env, says='"event":"forwarding"'))
    if env["MQTT_ADMIN_URL"]:
        keeper_env = {**env, "SSL_CERT_FILE": str(var / "tls" / "ca.pem")} if "MQTT_TLS_PORT" in ports else env
        supervisor.start(Service("keeper", [almanac, "broker", "keep"], keeper_env, says='"event":"stock taken"'))
    if kit:
        host = urlsplit(env["MQTT_URL"]).hostname or "127.0.0.1"
        where = ["--host", host, "--port", str(ports["MQTT_PORT"])]
        simulate = [python, "-m", "scripts.simulate_kit", *where, "--token", token, "--interval", "5"]
        supervisor.start(Service("kit", simulate, env))

    logins = ""
    if not os.environ.get("MQTT_URL"):
        if "MQTT_TLS_PORT" in ports:
            door = f"mqtts://127.0.0.1:{ports['MQTT_TLS_PORT']}, with --cafile {shown(var / 'tls' / 'ca.pem')}"
        else:
            door = f"mqtt://127.0.0.1:{ports['MQTT_LOGIN_PORT']}"
        logins = f"  Devices    {door}, where a device's token is its user name and its password\n"
    # A database elsewhere has its password in its URL.
    database = '"$DATABASE_URL"' if os.environ.get("DATABASE_URL") else env["DATABASE_URL"]
    print(
        f"""
Almanac is running; Ctrl-C stops it.
  Explorer   {address}/explore
  API        {address}/v0
  Reference  {address}/docs
  Broker     mqtt://127.0.0.1:{ports["MQTT_PORT"]}, where a kit's client id is its token: {token} is device {device_id}
{logins}  Database   psql {database}
  Mail       {"goes to MAIL_URL" if os.environ.get("MAIL_URL") else f"is kept in {shown(var / 'mail')}"}
  History    curl '{address}/v0/devices/{device_id}/readings?sensor_id=55&rollup=1m'
""",
        flush=True,
    )


def start_servers(supervisor: Supervisor, var: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """Start those of database, Redis and broker that are not elsewhere; return what the programs need to know."""
    names = (
        "DATABASE_URL",
        "REDIS_URL",
        "MQTT_URL",
        "MQTT_ADMIN_URL",
        "DEVICE_BROKER_URL",
        "MAIL_URL",
        "SECRET_KEY",
        "PUBLIC_URL",
        "STORAGE_URL",
    )
    env = {name: os.environ.get(name, "") for name in names}
    if not env["DATABASE_URL"]:
        supervisor.start(services.database(var / "database", ports["DATABASE_PORT"]))
        env["DATABASE_URL"] = services.database_url(ports["DATABASE_PORT"])
    if not env["REDIS_URL"]:
        supervisor.start(services.redis(var / "redis", ports["REDIS_PORT"]))
        env["REDIS_URL"] = f"redis://127.0.0.1:{ports['REDIS_PORT']}/0"
    if not env["MQTT_URL"]:
        certificates = var / "tls" if "MQTT_TLS_PORT" in ports else None
        if certificates:
            make_certificates(certificates)
        device_port = ports["MQTT_TLS_PORT" if certificates else "MQTT_LOGIN_PORT"]
        broker = Broker(var / "broker", ports["MQTT_PORT"], device_port, ports["MQTT_PLATFORM_PORT"], certificates)
        supervisor.start(broker.service())
        env["MQTT_URL"], env["MQTT_ADMIN_URL"] = broker.platform_url, broker.admin_url
        env["DEVICE_BROKER_URL"] = env["DEVICE_BROKER_URL"] or broker.device_url
        # The kits' door takes any client id, and whoever comes with the ingestor's takes its queue away.
        env["MQTT_CLIENT_ID"] = services.keep(var / "client-id", lambda: f"ingestor-{secrets.token_hex(8)}")
    if not env["MAIL_URL"]:
        supervisor.start(services.mail_catcher(var / "mail", ports["MAIL_PORT"]))
        env["MAIL_URL"] = f"smtp://127.0.0.1:{ports['MAIL_PORT']}"
    env["STORAGE_URL"] = env["STORAGE_URL"] or (var / "storage").as_uri()
    env["PUBLIC_URL"] = env["PUBLIC_URL"] or f"http://127.0.0.1:{ports['API_PORT']}"
    env["SECRET_KEY"] = env["SECRET_KEY"] or services.keep(var / "secret", lambda: secrets.token_urlsafe(32))
    return {**env, "API_PORT": str(ports["API_PORT"]), "PYTHONUNBUFFERED": "1"}


def shown(path: Path) -> str:
    """A path as one types it in the checkout."""
    return f"./{path.relative_to(ROOT)}" if path.is_relative_to(ROOT) else str(path)


def is_ready(api_port: int) -> bool:
    """Whether the API says that it and what it needs are ready."""
    connection = HTTPConnection("127.0.0.1", api_port, timeout=5)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


@contextmanager
def locked(var: Path) -> Iterator[None]:
    """Hold the data directory; StartError when another run does: two databases on the same files destroy them."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"Another ./scripts/dev uses {var}. Stop it, or set VAR_DIR.") from None
        yield


def read_port(variable: str) -> int:
    """The port a variable names, or its default. StartError when it is not one."""
    text = os.environ.get(variable) or str(PORTS[variable][0])
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StartError(f"{variable} is {text!r}: it must be a number from 1 to 65535.")
    return int(text)


def check_ports(ports: Mapping[str, int]) -> None:
    """StartError when a port cannot be listened on: taken, named twice, or not allowed."""
    for variable, port in ports.items():
        if twins := [other for other in ports if other != variable and ports[other] == port]:
            raise StartError(f"{variable} and {twins[0]} are both {port}: set one of them to another port.")
        way_out = f"Stop what uses it, or set {variable} to another port."
        # macOS lets us bind a port of 127.0.0.1 that another program has on all addresses, so ask it first.
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                raise StartError(f"Port {port} ({variable}) is taken. {way_out}")
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            raise StartError(f"Port {port} ({variable}) cannot be listened on: {error.strerror}. {way_out}") from error


if __name__ == "__main__":
    sys.exit(main())
