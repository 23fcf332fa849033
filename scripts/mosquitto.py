"""Mosquitto: its three doors, its settings and files, and how it is started on this machine."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from app.broker import dynsec
from scripts.services import answers, keep, write_secret
from scripts.supervisor import Service

# Debian and Homebrew put the broker where a user's PATH does not always look.
BROKER_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"))
# MQTT 3.1.1 CONNECT: clean session, keep-alive 60 s, no client id. Any CONNACK starts with 20 02.
CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"


@dataclass(frozen=True)
class Broker:
    """A Mosquitto with three doors: for devices that log in, for kits that cannot, and for Almanac's own programs.

    With `certificates`, a directory of scripts/tls.py, devices log in over TLS.
    """

    directory: Path
    kit_port: int
    device_port: int
    platform_port: int
    certificates: Path | None = None

    @property
    def kit_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.kit_port}"

    @property
    def platform_url(self) -> str:
        """Where and as whom our own programs connect: they read what devices send, and write what devices read."""
        return f"mqtt://almanac:{self._password('platform')}@127.0.0.1:{self.platform_port}"

    @property
    def device_url(self) -> str:
        """Where devices connect, with their token as user name and password."""
        return f"{'mqtts' if self.certificates else 'mqtt'}://127.0.0.1:{self.device_port}"

    @property
    def admin_url(self) -> str:
        """Where and with which password the logins of devices are looked after."""
        return self.device_url.replace("://", f"://:{self._password('keeper')}@")

    def service(self) -> Service:
        """The broker; its configuration is written anew, its queued messages and its logins stay.

        FileNotFoundError with what to install when the machine has no Mosquitto.
        """
        plain = [self.kit_port, self.platform_port, *([] if self.certificates else [self.device_port])]
        return Service(
            name="broker",
            command=[_program("mosquitto"), "-c", self._write_configuration()],
            probe=lambda: all(answers(port, CONNECT, b"\x20\x02") for port in plain),
            vital=True,
        )

    def _password(self, name: str) -> str:
        return keep(self.directory / f"{name}.secret", lambda: secrets.token_urlsafe(24))

    def _write_configuration(self) -> Path:
        directory = self.directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        write_broker_files(directory, self._password("platform"), self._password("keeper"))
        certificates = self.certificates and self.certificates.resolve()
        configuration = directory / "mosquitto.conf"
        configuration.write_text(f"""\
# Written at each start by scripts/mosquitto.py.
{"user root" if os.geteuid() == 0 else ""}
persistence_location {directory}/
{BROKER_SETTINGS}
{device_listener(f"{self.device_port} 127.0.0.1", directory, directory, certificates, dynsec_plugin())}
{kit_listener(f"{self.kit_port} 127.0.0.1", directory)}
{platform_listener(f"{self.platform_port} 127.0.0.1", directory)}
""")
        return configuration


# What a device publishes and reads, below device/sck/<token>/. Each topic by its name: with `#` one client could fill
# the broker with retained messages.
DEVICE_WRITES = ("readings", "readings/raw", "info", "hello", "errors", "config/reported")
DEVICE_READS = ("config", "receipts")
ACLS = {
    "devices.acl": "".join(
        [
            *(f"pattern write device/sck/%u/{topic}\n" for topic in DEVICE_WRITES),
            *(f"pattern read device/sck/%u/{topic}\n" for topic in DEVICE_READS),
            "pattern read /forward/%u/#\n",  # who logs in with a token for forwarding
        ]
    ),
    "kits.acl": "".join(
        ["topic write device/inventory\n", *(f"pattern write device/sck/%c/{topic}\n" for topic in DEVICE_WRITES)]
    ),
    "platform.acl": "".join(
        [
            "user almanac\ntopic read device/#\ntopic read $share/almanac/device/#\n",
            *(f"topic write device/sck/+/{topic}\n" for topic in DEVICE_READS),
            "topic write /forward/#\n",
        ]
    ),
}
BROKER_SETTINGS = """\
per_listener_settings true
log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
log_type error
log_type warning
log_type notice
# They would name the client id of each connection, which is a token.
connection_messages false
sys_interval 0

# What a publisher got an acknowledgement for survives a crash of the broker once it is saved, which Mosquitto 2.0 does
# every second second with this interval, and always when it is stopped. A save writes and syncs the whole store: one at
# every change (autosave_on_changes) bounds ingest by the disk's syncs, to a seventh, and the more waits, the slower.
persistence true
autosave_on_changes false
autosave_interval 1

# While the ingestor is away everything waits for it, QoS 0 too, up to 1 GiB. What comes beyond that Mosquitto 2.0.11
# confirms and drops. With memory_limit it would confirm nothing, but not let an ingestor in to empty it either.
queue_qos0_messages true
upgrade_outgoing_qos true
# As good as none: 0 would mean that, but with 0 Mosquitto 2.0.11 cuts off every client whose publish it denies.
max_queued_messages 1000000000
max_queued_bytes 1073741824
# More than a batch of the ingestor, which acknowledges only what it has committed.
max_inflight_messages 10000
# A device sends a day of readings in less; who sends more is cut off.
max_packet_size 1048576
"""


def write_broker_files(directory: Path, platform_password: str, keeper_password: str) -> None:
    """Write what the listeners' settings name: the ACLs, our own programs' password and, once, devices' logins."""
    for name, text in ACLS.items():
        (directory / name).unlink(missing_ok=True)  # for production it is made read-only
        (directory / name).write_text(text)
    write_secret(directory / "passwords", dynsec.password_file("almanac", platform_password))
    # From then on it is the broker's own: `almanac broker keep` lets devices in.
    keep(directory / "logins.json", lambda: json.dumps(dynsec.document(keeper_password)))


def device_listener(address: str, files: Path, state: Path, certificates: Path | None, plugin: Path) -> str:
    """Settings of the listener for devices; `state` is where the broker keeps their logins."""
    return f"""\
# Devices: they log in with their token as user name and password, and the user name says which topics are theirs.
# It is their client id too, so that none can take another's session over.
listener {address}
{tls_settings(certificates) if certificates else ""}
allow_anonymous false
use_username_as_clientid true
plugin {plugin}
plugin_opt_config_file {state}/logins.json
acl_file {files}/devices.acl
"""


def kit_listener(address: str, files: Path) -> str:
    """Settings of the listener for kits that cannot log in."""
    return f"""\
# Kits whose firmware sends no credentials: the client id is the token. Off in production.
listener {address}
allow_anonymous true
acl_file {files}/kits.acl
"""


def platform_listener(address: str, files: Path) -> str:
    """Settings of the listener for the ingestors and the API."""
    return f"""\
# Almanac's own programs: not to be reached from outside.
listener {address}
allow_anonymous false
password_file {files}/passwords
acl_file {files}/platform.acl
"""


def tls_settings(certificates: Path) -> str:
    """The lines that make a listener speak TLS with the certificate of a directory as scripts/tls.py makes it."""
    return f"certfile {certificates}/server.pem\nkeyfile {certificates}/server.key\ntls_version tlsv1.2"


def dynsec_plugin() -> Path:
    """Mosquitto's dynamic-security plugin, where Debian, Homebrew or a build of one's own put it."""
    for folder in ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib"):
        for pattern in ("mosquitto_dynamic_security.*", "*/mosquitto_dynamic_security.*"):
            for path in Path(folder).glob(pattern):
                return path
    raise FileNotFoundError("Mosquitto's plugin mosquitto_dynamic_security is missing: install Mosquitto 2.0 or newer")


def _program(name: str) -> str:
    path = shutil.which(name, path=BROKER_PATH)
    if path is None:
        raise FileNotFoundError(f"{name} is missing: apt-get install mosquitto, or brew install mosquitto")
    return path
