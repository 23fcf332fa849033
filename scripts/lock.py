"""What of scripts/requirements.txt is needed to run the platform, without the tests' part: `python3 scripts/lock.py`.

Prints requirements with their hashes, for `pip install --require-hashes --no-deps`; with names as arguments those
packages and what they need in turn. Needs nothing but Python: the image is built with it.
"""

import re
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def locked() -> dict[str, str]:
    """Return the lock's text of each package by name: version, hashes, and as comments who needs it."""
    packages: dict[str, str] = {}
    _header, *blocks = re.split(r"^(?=\w)", (_ROOT / "scripts" / "requirements.txt").read_text(), flags=re.MULTILINE)
    for block in blocks:  # a package has one for each range of Python versions that needs a version of its own
        packages[name(block)] = packages.get(name(block), "") + block
    return packages


def needed(roots: set[str]) -> set[str]:
    """Return the names of these packages and of all that they need, in any environment."""
    needed_by = {
        package: set(re.findall(r"^    #(?: via)? +([\w.-]+)", text, re.MULTILINE))
        for package, text in locked().items()
    }
    found = set(roots)
    while more := {package for package, by in needed_by.items() if by & found} - found:
        found |= more
    return found


def platform() -> set[str]:
    """Return the names of what the platform runs on: pyproject.toml's dependencies, and theirs."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    return needed({name(requirement) for requirement in project["dependencies"]})


def packages() -> set[str]:
    """Return the folders that pyproject.toml makes a package of."""
    tool = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]
    return set(tool["hatch"]["build"]["targets"]["wheel"]["packages"])


def name(requirement: str) -> str:
    """Return a requirement's package, spelt as the lock does."""
    found = _NAME.match(requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


if __name__ == "__main__":
    wanted = needed(set(sys.argv[1:])) if sys.argv[1:] else platform()
    print("".join(text for package, text in locked().items() if package in wanted))
