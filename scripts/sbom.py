"""Print what the platform is made of as a CycloneDX 1.6 document: `python -m scripts.sbom > sbom.json`.

The Python packages of the image with their versions and licences, and the servers of docker/compose.yaml.
"""

import json
import re
import tomllib
from typing import Any
from uuid import uuid4

from scripts import licences, lock
from scripts.supervisor import ROOT


def document() -> dict[str, Any]:
    """Return the document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {"component": _part("application", "almanac", project["version"], project["license"], "pypi")},
        "components": [*_packages(), *_servers()],
    }


def _packages() -> list[dict[str, Any]]:
    texts, known = lock.locked(), licences.packages()
    return [
        _part("library", name, version, known[name], "pypi")
        for name in sorted(lock.platform())
        for version in sorted(set(re.findall(rf"^{re.escape(name)}==([^ ]+)", texts[name], re.MULTILINE)))
    ]


def _servers() -> list[dict[str, Any]]:
    return [
        _part("container", name, version, licences.SERVERS[name], "docker")
        for name, version in licences.images().items()
        if name in licences.SERVERS
    ]


def _part(kind: str, name: str, version: str, licence: str, registry: str) -> dict[str, Any]:
    purl = f"pkg:{registry}/{name}@{version}"
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": [{"expression": licence}],
        "purl": purl,
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
