"""How long ./scripts/dev takes to the first datapoint: in a fresh clone, and once more with what that left behind."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from scripts.dev import PORTS
from scripts.services import free_port
from scripts.supervisor import ROOT


def seconds_to_first_datapoint(checkout: Path, env: dict[str, str]) -> tuple[float, float]:
    """Start ./scripts/dev, wait for history to grow, stop it; return seconds to its curl line and to the datapoint."""
    started = time.monotonic()
    dev = subprocess.Popen(
        ["./scripts/dev"], cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert dev.stdout
        url = next(found[1] for line in dev.stdout if (found := re.search(r"curl '(.*)'", line)))
        ready, before = time.monotonic() - started, datapoints(url)
        while datapoints(url) <= before:
            time.sleep(0.1)
        return ready, time.monotonic() - started
    finally:
        dev.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            dev.communicate(timeout=30)


def datapoints(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(json.load(answer)["sample_size"])


def main() -> None:
    env = os.environ | {variable: str(free_port()) for variable in PORTS}
    with tempfile.TemporaryDirectory() as directory:
        checkout = Path(directory) / "almanac"
        subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
        for name in ("fresh clone", "second start"):
            ready, first = seconds_to_first_datapoint(checkout, env)
            print(f"{name}: ready after {ready:.1f} s, a new datapoint in the history after {first:.1f} s")


if __name__ == "__main__":
    main()
