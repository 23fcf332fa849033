"""Files of others that we serve: unchanged since they were published, and with their licences."""

from hashlib import sha256
from pathlib import Path

import pytest

VENDOR = Path(__file__).parent.parent / "app" / "static" / "vendor"
SUMS = dict(line.split("  ")[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
FILES = sorted(str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file() and path.parent != VENDOR)


def test_every_file_has_a_checksum() -> None:
    assert sorted(SUMS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_the_one_that_was_published(name: str) -> None:
    assert sha256((VENDOR / name).read_bytes()).hexdigest() == SUMS[name]


@pytest.mark.parametrize("folder", sorted({name.split("/")[0] for name in FILES}))
def test_a_library_comes_with_its_licence(folder: str) -> None:
    assert list((VENDOR / folder).glob("LICENSE*"))
