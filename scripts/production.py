"""Make what docker/compose.yaml needs and no repository holds: secrets, certificates to try with, the broker's files.

What is there already stays: run again after a new release, it brings the broker's ACLs up to date.
"""

import argparse
import secrets
from collections.abc import Callable
from pathlib import Path

from scripts import mosquitto, services
from scripts.supervisor import ROOT
from scripts.tls import make_certificates

# As the containers see them.
_FILES, _STATE, _PLUGIN = Path("/mosquitto/config"), Path("/mosquitto/data"), "/usr/lib/mosquitto_dynamic_security.so"


def main() -> None:
    parser = argparse.ArgumentParser(prog="docker/init.sh", description=__doc__)
    parser.add_argument("domain", help="the host name that people and devices reach; localhost to try it here")
    parser.add_argument("--directory", type=Path, default=ROOT / "docker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    make_all(arguments.directory, arguments.domain)
    print("docker/secrets and docker/.env are made. Fill in docker/secrets/mail_url, then: docker compose up --detach")


def make_all(directory: Path, domain: str) -> None:
    """Fill `secrets/` and write `.env`."""
    made = directory / "secrets"
    made.mkdir(parents=True, exist_ok=True)
    # Containers run as users of their own, and each sees its own secrets alone. On the host nobody gets past this.
    made.chmod(0o700)

    def secret(name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
        value = services.keep(made / name, make)
        (made / name).chmod(0o444)
        return value

    secret("secret_key")
    secret("grafana_admin_password")
    secret("grafana_database_password")
    secret("mail_url", lambda: "")
    database, redis, broker, keeper = (secret(f"{name}_password") for name in ("database", "redis", "broker", "keeper"))
    secret("database_url", lambda: f"postgresql://almanac:{database}@database:5432/almanac")
    secret("redis_url", lambda: f"redis://:{redis}@redis:6379/0")
    secret("redis_conf", lambda: f"requirepass {redis}\n")
    secret("mqtt_url", lambda: f"mqtt://almanac:{broker}@broker:1885")
    # Where devices log in: under a name that the certificate is for. `localhost` would be the keeper's own container.
    host = "broker" if _is_local(domain) else domain
    secret("mqtt_admin_url", lambda: f"mqtts://:{keeper}@{host}:8883")

    if _is_local(domain) or not (made / "tls" / "server.pem").exists():  # docker/renew.sh brings others
        make_certificates(made / "tls", domain, host)
    _write_broker_files(made / "broker", broker, keeper)
    for file in (made / "tls" / "server.key", *(made / "broker").iterdir()):
        file.chmod(0o444)
    services.keep(directory / ".env", lambda: _ENVIRONMENT.format(domain=domain, tls=_TLS if _is_local(domain) else ""))


def _write_broker_files(directory: Path, platform_password: str, keeper_password: str) -> None:
    directory.mkdir(exist_ok=True)
    mosquitto.write_broker_files(directory, platform_password, keeper_password)
    production = f"""\
# Written by scripts/production.py.
persistence_location {_STATE}/
{mosquitto.BROKER_SETTINGS}
{mosquitto.device_listener("8883", _FILES, _STATE, _FILES, Path(_PLUGIN))}
{mosquitto.platform_listener("1885", _FILES)}
"""
    for name, text in {
        "mosquitto.conf": production,
        "with-kits.conf": production + mosquitto.kit_listener("1883", _FILES),
    }.items():
        (directory / name).unlink(missing_ok=True)
        (directory / name).write_text(text)


def _is_local(domain: str) -> bool:
    """Whether no public authority certifies this name."""
    return "." not in domain or domain.endswith((".localhost", ".test", ".internal", ".local"))


_TLS = "tls /run/tls/server.pem /run/tls/server.key"
_ENVIRONMENT = """\
# Settings of docker/compose.yaml; README.md lists more. Secrets are not here but in secrets/, a file each.
DOMAIN={domain}
# Empty: Caddy has a certificate of DOMAIN made by Let's Encrypt.
CADDY_TLS="{tls}"
MAIL_FROM="Almanac <almanac@{domain}>"
# Packages of extras that are built into the image: pyarrow lets exports be Parquet, and takes 160 MB.
WITH=""
"""

if __name__ == "__main__":
    main()
