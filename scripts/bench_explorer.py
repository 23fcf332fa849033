"""Measure the explorer's map with 20,000 devices in Chromium: first paint, bytes as they travel, frames of movements.

    python -m scripts.bench_explorer [--server postgresql://…] [--devices 20000]

Without --server it runs on the embedded TimescaleDB. Browser, API and database share the machine, and the browser has
no graphics card. Prints one JSON object: milliseconds to the first paint and to the devices on the map (median of five
visits with an empty cache), kilobytes of all that the page needs (no tile server is set), and of each movement the
milliseconds from frame to frame: median, 95th percentile, longest, and the share of frames over 50 ms.
"""

import argparse
import json
import secrets
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from app.config import Config
from app.factory import create_app
from scripts import services
from scripts.bench_devices import fill
from scripts.bench_platform import database
from scripts.supervisor import running
from sql import connect

VISITS = 5
SECONDS = 4  # of each movement
SIZE = {"width": 1400, "height": 850}
# Asks for frames and notes when each came; the last that were noted are taken away by `frames()`.
WATCH = """() => {
  let last = performance.now(), steps = []
  const tick = (now) => { steps.push(now - last); last = now; requestAnimationFrame(tick) }
  requestAnimationFrame(tick)
  window.frames_ = () => { const taken = steps; steps = []; return taken }
}"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    parser.add_argument("--devices", type=int, default=20_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(arguments.server, directory))
        port = services.free_port()
        stack.enter_context(running(services.redis(directory, port)))
        with connect(url) as conn:
            fill(conn, arguments.devices)
            conn.execute("UPDATE components SET latest_value = 10 + device_id % 23 WHERE sensor_id = 55")
        redis_url = f"redis://127.0.0.1:{port}/0"
        app = create_app(Config(url, redis_url, secrets.token_urlsafe(32), pool_size=4, rate_limit_anonymous=0))
        address = stack.enter_context(served(app))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        print(json.dumps({**visits(browser, address), "frames": movements(browser, address)}, indent=2))
        browser.close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def visits(browser: Browser, address: str) -> dict[str, Any]:
    """Come for the first time, several times."""
    paints, shown, sizes = [], [], []
    for _ in range(VISITS):
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        travelled = watch_bytes(page)
        paint, ready = visit(page, address)
        paints.append(paint)
        shown.append(ready)
        page.wait_for_load_state("networkidle")
        sizes.append(sum(travelled))
        page.close()
    return {
        "first_paint_ms": round(statistics.median(paints)),
        "devices_shown_ms": round(statistics.median(shown)),
        "kilobytes": round(statistics.median(sizes) / 1000, 1),
    }


def watch_bytes(page: Page) -> list[int]:
    """Return a list to which the bytes of each answer are added: body as it travels, and headers."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    travelled: list[int] = []
    session.on("Network.loadingFinished", lambda event: travelled.append(int(event["encodedDataLength"])))
    return travelled


def visit(page: Page, address: str) -> tuple[float, float]:
    """Return the milliseconds to the first paint, and to the devices on the map."""
    page.goto(f"{address}/explore")
    page.locator("#legend .count", has_text="device").wait_for()
    ready = page.evaluate("performance.now()")
    while (paint := page.evaluate(PAINT)) is None:  # the browser tells it a frame or two later
        page.wait_for_timeout(20)
    return paint, ready


def movements(browser: Browser, address: str) -> dict[str, Any]:
    """Drag and zoom as people do, from the world to a city."""
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    visit(page, address)
    page.evaluate(WATCH)
    found = {"still": frames(page, lambda: page.wait_for_timeout(1000))}
    found["pan, world"] = frames(page, lambda: pan(page))
    found["zoom, world to city and back"] = frames(page, lambda: zoom(page))
    page.goto(f"{address}/explore#/?at=45,15,6")
    page.reload()
    page.locator("#legend .count", has_text="device").wait_for()
    page.evaluate(WATCH)
    found["pan, region"] = frames(page, lambda: pan(page))
    page.close()
    return found


def frames(page: Page, move: Any) -> dict[str, float]:
    page.evaluate("frames_()")
    move()
    steps = sorted(page.evaluate("frames_()"))
    return {
        "median_ms": round(statistics.median(steps), 1),
        "p95_ms": round(steps[int(len(steps) * 0.95)], 1),
        "longest_ms": round(steps[-1], 1),
        "over_50_ms": round(sum(step > 50 for step in steps) / len(steps), 3),
    }


def pan(page: Page) -> None:
    for turn in range(SECONDS):
        left = turn % 2 == 0
        page.mouse.move(1000 if left else 400, 300)
        page.mouse.down()
        for step in range(30):
            page.mouse.move((1000 - 20 * step) if left else (400 + 20 * step), 300 + 3 * step)
            page.wait_for_timeout(16)
        page.mouse.up()
        page.wait_for_timeout(400)


def zoom(page: Page) -> None:
    page.mouse.move(700, 350)
    for direction in (-1, 1):
        for _ in range(SECONDS):
            page.mouse.wheel(0, direction * 240)
            page.wait_for_timeout(700)


if __name__ == "__main__":
    main()
