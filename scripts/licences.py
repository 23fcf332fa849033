"""Under which licences the platform and its parts are: `python -m scripts.licences`.

Exit code 1 names what has a licence that nobody here has looked at. Packages say theirs themselves; what is not
installed on this machine, and what says nothing, stands below.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from scripts import lock
from scripts.supervisor import ROOT

# May be used and passed on with a program under AGPL-3.0-or-later.
ACCEPTED = {
    *("0BSD", "AGPL-3.0-only", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "EPL-2.0", "ISC"),
    *("LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "PostgreSQL", "Unlicense", "Zlib"),
}
# Older packages' words.
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_SILENT = {"async-timeout": "Apache-2.0", "axe-playwright-python": "MIT", "colorama": "BSD-3-Clause"}
# What compose.yaml runs, by image. TimescaleDB Community is under the Timescale License: to be run freely, also for
# money, but not to be offered to others as a database service, and no open-source licence.
SERVERS = {
    "almanac-database": "MIT",  # what we put into TimescaleDB's image: pgBackRest
    "caddy": "Apache-2.0",
    "eclipse-mosquitto": "EPL-2.0 OR BSD-3-Clause",
    "grafana/grafana": "AGPL-3.0-only",
    "prom/node-exporter": "Apache-2.0",
    "prom/prometheus": "Apache-2.0",
    "timescale/timescaledb": "LicenseRef-Timescale AND Apache-2.0 AND PostgreSQL",
    "valkey/valkey": "BSD-3-Clause",
}
_ACCEPTED_BY_NAME = {"timescale/timescaledb": "LicenseRef-Timescale"}


def packages() -> dict[str, str]:
    """Return the licence of each locked Python package, as an SPDX expression; empty where it is unknown."""
    return {name: _licence(name) for name in sorted(lock.locked())}


def images() -> dict[str, str]:
    """Return the version of each image that is not ours, by name, as compose.yaml and its Dockerfiles have them."""
    files = [*(ROOT / "docker").rglob("compose*.yaml"), *(ROOT / "docker").rglob("Dockerfile")]
    texts = "\n".join(file.read_text() for file in files)
    return dict(sorted(re.findall(r"^(?: *image: |FROM )([\w./-]+):(v?\d[\w.-]*)", texts, re.MULTILINE)))


def unknown(licences: dict[str, str]) -> list[str]:
    """Return the names whose licence is not among the accepted ones."""
    return [
        name
        for name, licence in licences.items()
        if not licence
        or not set(re.findall(r"[\w.-]+", licence)) - {"AND", "OR"} <= ACCEPTED | {_ACCEPTED_BY_NAME.get(name, "")}
    ]


def _licence(name: str) -> str:
    try:
        return _SILENT.get(name) or _said_by(distribution(name))
    except PackageNotFoundError:
        return ""


def _said_by(package: Distribution) -> str:
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = (line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License"))
    known = [_SPDX[word] for word in classifiers if word in _SPDX]
    field = str(metadata.get("License") or "")
    return " OR ".join(known) or (field if "\n" not in field else "")


def main() -> int:
    platform = lock.platform()
    parts = packages() | {name: SERVERS.get(name, "") for name in images()}
    for name, licence in parts.items():
        part_of = "the platform" if name in platform else "its servers" if name in images() else "its tests"
        print(f"{name:28} {licence:48} {part_of}")
    print(
        "\nTimescaleDB Community is under the Timescale License: free to run, not to be offered as a database service."
    )
    if strangers := unknown(parts):
        print(f"Nobody has looked at the licence of: {', '.join(strangers)}", file=sys.stderr)
    return bool(strangers)


if __name__ == "__main__":
    sys.exit(main())
