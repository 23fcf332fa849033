"""The explorer in a real browser: from the map to a device, its charts and what one takes away."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from caller import Caller
from flask import Flask
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from werkzeug.serving import make_server

CHROMIUM = shutil.which("chromium")
# Without these it looks for Google's servers at every start.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the explorer is not tested: chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-quic", *QUIET]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(app: Flask) -> Iterator[str]:
    """Where a browser finds the app."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Visit:
    """A browser's page, with what it asked for and what went wrong in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # given up for a newer one
            self.errors.append(f"{request.url}: {request.failure}")

    def go(self, where: str = "") -> Page:
        self.page.goto(f"{self.address}/{where}")
        return self.page


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Somebody with a browser in Kathmandu; in the end nothing has gone wrong and no other host was asked."""
    context = browser.new_context(timezone_id="Asia/Kathmandu", accept_downloads=True)
    visit = Visit(context.new_page(), address)
    yield visit
    context.close()
    assert visit.errors == []
    assert [url for url in visit.asked if not url.startswith((address, "blob:", "data:"))] == []


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    """A device in Kathmandu that has sent a temperature every ten minutes for two days."""
    device = user.register_device(name="Roof of the school", latitude=27.7172, longitude=85.324, exposure="outdoor")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    data = [
        {
            "recorded_at": f"{now - timedelta(minutes=10) * step:%Y-%m-%dT%H:%M:%SZ}",
            "sensors": [{"id": 55, "value": 20 + step % 7}],
        }
        for step in range(288)
    ]
    answer = user.post(f"/v0/devices/{device['id']}/readings", {"data": data})
    assert answer.status_code == 200, answer.text
    return device


def test_the_map_leads_to_a_device_and_its_charts(visit: Visit, device: dict[str, Any]) -> None:
    page = visit.go()

    expect(page.locator("#legend")).to_contain_text("device")
    page.get_by_role("searchbox").fill("roof of the")
    page.get_by_role("button", name="Roof of the school").first.click()

    expect(page.get_by_role("heading", name="Roof of the school")).to_be_visible()
    expect(page.locator("td.value")).to_contain_text("20")
    expect(page.locator(".plot[role=img]")).to_have_count(1)
    expect(page.locator("figure .note")).to_contain_text("readings")


def test_what_is_seen_has_an_address(visit: Visit, device: dict[str, Any], address: str) -> None:
    page = visit.go(f"#/devices/{device['id']}")
    page.get_by_role("button", name="a week").click()
    page.get_by_label("Times in").select_option("UTC")
    expect(page).to_have_url(re.compile(r"from=.*tz=UTC"))

    seen = page.url
    page.goto("about:blank")
    page.goto(seen)

    expect(page.get_by_label("Times in")).to_have_value("UTC")
    expect(page.locator("figure .note")).to_contain_text("buckets of 1h")


def test_the_view_is_taken_away_as_csv(visit: Visit, device: dict[str, Any], tmp_path: Path) -> None:
    page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator(".plot[role=img]")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this view").click()
    download.value.save_as(tmp_path / "view.csv")

    head, *rows = (tmp_path / "view.csv").read_text().splitlines()
    assert head == "time,Sensirion SHT31 - Temperature [ºC]"
    assert len(rows) > 100


def test_a_device_that_is_not_there_is_said_to_be_so(visit: Visit) -> None:
    page = visit.go("#/devices/2147483647")

    expect(page.get_by_role("alert")).to_contain_text("there is no device 2147483647")
    visit.errors.clear()  # the browser logs the 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["", "#/devices/{id}"], ids=["map", "device"])
def test_axe_finds_nothing_that_keeps_anybody_out(
    browser: Browser, address: str, device: dict[str, Any], where: str, scheme: str
) -> None:
    page = browser.new_page(bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{address}/explore{where.format(id=device['id'])}")
    expect(page.locator("#legend")).to_contain_text("in view")
    expect(page.locator(".plot[role=img]")).to_have_count(1 if where else 0)

    found = Axe().run(page).response["violations"]
    page.close()

    assert [each for each in found if each["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_is_wider_than_the_screen(visit: Visit, device: dict[str, Any], width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator(".plot[role=img]")).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
