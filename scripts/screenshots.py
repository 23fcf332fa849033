"""Take README's screenshots of the explorer: ./scripts/dev, simulated kits around the world, and a browser.

    python -m scripts.screenshots

Writes scripts/screenshots/map.png and device.png.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from scripts.dev import PORTS
from scripts.services import free_port
from scripts.supervisor import ROOT

PLACES = {
    "Roof of the school": (41.4036, 2.1744),
    "Balcony in Gràcia": (41.4030, 2.1573),
    "Harbour": (41.3763, 2.1774),
    "Berlin, Oderberger Straße": (52.5407, 13.4070),
    "Oslo, Grünerløkka": (59.9226, 10.7590),
    "London, Brixton": (51.4613, -0.1156),
    "Lisboa, Alfama": (38.7114, -9.1300),
    "Napoli, Sanità": (40.8596, 14.2480),
    "Lagos, Yaba": (6.5095, 3.3711),
    "Nairobi, Kibera": (-1.3120, 36.7890),
    "Mumbai, Dharavi": (19.0380, 72.8538),
    "Kathmandu, Patan": (27.6766, 85.3188),
    "Tokyo, Koenji": (35.7051, 139.6497),
    "Sydney, Newtown": (-33.8981, 151.1745),
    "Santiago, Yungay": (-33.4400, -70.6750),
    "Quito, La Floresta": (-0.2100, -78.4830),
    "México, Roma": (19.4150, -99.1620),
    "New York, Bushwick": (40.6943, -73.9213),
    "Vancouver, Strathcona": (49.2776, -123.0880),
}
DAYS = 1
SIZE = {"width": 1280, "height": 760}
FOLDER = ROOT / "scripts" / "screenshots"


def main() -> None:
    ports = {variable: free_port() for variable in PORTS}
    with tempfile.TemporaryDirectory() as directory, platform(ports, directory):
        address = f"http://127.0.0.1:{ports['API_PORT']}"
        devices = register(address)
        send(ports["MQTT_PORT"], devices, Path(directory))
        first = devices[0]["id"]
        wait_until_sent(f"{address}/v0/devices/{devices[-1]['id']}")
        FOLDER.mkdir(exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            take(browser, "light", f"{address}/explore#/?at=25,10,2", "map.png")
            take(browser, "dark", f"{address}/explore#/devices/{first}?sensors=55,53,87", "device.png")
            browser.close()


@contextmanager
def platform(ports: dict[str, int], directory: str) -> Iterator[None]:
    """Run ./scripts/dev with its data in a directory of its own, from its being ready to its end."""
    env = os.environ | {variable: str(port) for variable, port in ports.items()} | {"VAR_DIR": f"{directory}/var"}
    with (Path(directory) / "log").open("w") as log:
        dev = subprocess.Popen(["./scripts/dev", "--no-kit"], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        while "curl" not in (Path(directory) / "log").read_text():
            if dev.poll() is not None:
                raise SystemExit("./scripts/dev did not start: run it by itself to see why")
            time.sleep(0.5)
        yield
    finally:
        dev.send_signal(signal.SIGINT)
        dev.wait(60)


def ask(url: str, body: Any = None, token: str = "") -> Any:
    """Return the JSON that a URL answers, to a POST where there is a body."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def register(address: str) -> list[Any]:
    """Make an account with a kit at each place."""
    login = {"username": "maria", "password": "a password to take pictures with"}
    ask(f"{address}/v0/users", {**login, "email": "maria@example.org"})
    token = ask(f"{address}/v0/sessions", login)["access_token"]
    kit_id = ask(f"{address}/v0/kits/sck:2,1")["id"]
    about = {"kit_id": kit_id, "exposure": "outdoor", "description": "A simulated kit"}
    return [
        ask(f"{address}/v0/devices", {"name": name, "latitude": latitude, "longitude": longitude, **about}, token=token)
        for name, (latitude, longitude) in PLACES.items()
    ]


def send(port: int, devices: list[Any], directory: Path) -> None:
    """Let the kits send what they have measured in the last days."""
    tokens = directory / "tokens"
    tokens.write_text("".join(f"{device['device_token']}\n" for device in devices))
    where = ["--port", str(port), "--tokens-file", str(tokens)]
    when = ["--backfill", str(DAYS), "--interval", "900", "--rate", "300", "--once"]
    subprocess.run([sys.executable, "-m", "scripts.simulate_kit", *where, *when], cwd=ROOT, check=True)


def wait_until_sent(url: str) -> None:
    """Return once a device has been heard of within the last minutes, and then nothing more of it comes."""
    before = None
    while (now := ask(url)["last_reading_at"]) is None or now != before:
        before = now
        time.sleep(2)


def take(browser: Browser, scheme: str, url: str, name: str) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, locale="en-GB", timezone_id="Europe/Madrid")  # type: ignore[arg-type]
    page.goto(url)
    page.locator("#legend .count", has_text="in view").wait_for()
    page.wait_for_timeout(3000)  # charts, and the map's own movement
    for heading in page.get_by_role("heading", name="History").all():
        heading.evaluate("heading => heading.scrollIntoView()")
    page.screenshot(path=FOLDER / name)
    page.close()


if __name__ == "__main__":
    main()
