"""A real browser that visits the app: a plugin of conftest.py, so that tests of several files share how they look."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from caller import PASSWORD, Caller
from flask import Flask
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from serving import served_here

from app.config import Config
from app.factory import create_app
from scripts.services import free_port

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 15_000  # of what is done in a page and of what is expected there: a machine may be slow
# Without these it looks for Google's servers at every start.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("the explorer is not tested: chromium is not installed")
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-quic", *QUIET]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(config: Config, app: Flask) -> Iterator[str]:
    """Where a browser finds the app, which knows that it is there."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    found = create_app(replace(config, public_url=url))
    with served_here(found, port):
        yield url
    found.extensions["streams"].close()
    found.extensions["database_pool"].close()


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

    def forgive(self, status: int) -> None:
        """Leave out what the browser says of a refusal that the test has wanted."""
        self.page.wait_for_timeout(50)
        self.errors = [error for error in self.errors if f"status of {status}" not in error]

    def go(self, where: str = "") -> Page:
        self.page.goto(f"{self.address}/{where}")
        return self.page

    def sign_in(self, user: Caller) -> Page:
        page = self.go("explore#/sign-in")
        page.get_by_label("Username or e-mail address").fill(user.user["username"])
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.locator("#panel").get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        return page


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Somebody with a browser in Kathmandu; in the end nothing has gone wrong and no other host was asked."""
    context = browser.new_context(timezone_id="Asia/Kathmandu", accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    visit = Visit(context.new_page(), address)
    yield visit
    context.close()
    assert visit.errors == []
    assert [url for url in visit.asked if not url.startswith((address, "blob:", "data:"))] == []


@pytest.fixture
def signed_in(visit: Visit, user: Caller) -> Callable[[str], Page]:
    """Opens a page of the user, who has signed in."""
    visit.sign_in(user)

    def open_page(where: str) -> Page:
        visit.page.evaluate("where => { location.hash = where }", where)
        return visit.page

    return open_page
