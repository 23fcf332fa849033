"""What the platform is made of, and under which licences."""

import re

from scripts import licences, lock, sbom
from scripts.supervisor import ROOT


def test_every_part_has_a_licence_that_was_looked_at() -> None:
    assert licences.unknown(licences.packages()) == []
    assert licences.images().keys() >= {"timescale/timescaledb", "eclipse-mosquitto", "valkey/valkey"}
    assert {name: licences.SERVERS.get(name, "") for name in licences.images()}.items() <= licences.SERVERS.items()
    assert licences.unknown(licences.SERVERS) == []


def test_a_licence_that_nobody_knows_is_named() -> None:
    parts = {"fine": "MIT OR Apache-2.0", "strange": "SSPL-1.0", "partly": "MIT AND SSPL-1.0", "silent": ""}
    # The one exception is TimescaleDB's alone.
    parts["another"] = "LicenseRef-Timescale"

    assert licences.unknown(parts) == ["strange", "partly", "silent", "another"]


def test_what_is_vendored_comes_with_its_licence() -> None:
    for folder in (ROOT / "app" / "static" / "vendor").iterdir():
        assert folder.name == "SHA256SUMS" or list(folder.glob("LICENSE*")), folder


def test_the_bill_of_materials_names_each_package_of_the_image_once_a_version() -> None:
    document = sbom.document()
    libraries = [part for part in document["components"] if part["type"] == "library"]
    references = [part["bom-ref"] for part in document["components"]]

    assert {part["name"] for part in libraries} == lock.platform()
    assert len(references) == len(set(references))
    assert all(re.fullmatch(r"pkg:(pypi|docker)/[\w./-]+@[\w.+-]+", reference) for reference in references)
    assert all(part["licenses"][0]["expression"] for part in document["components"])


def test_the_lock_names_no_place_to_download_from() -> None:
    assert not re.search(r"https?://|--index-url|--find-links", (ROOT / "scripts" / "requirements.txt").read_text())
