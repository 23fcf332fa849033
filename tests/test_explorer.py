"""The explorer in a real browser: from the map to a device, its charts and what one takes away."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Visit
from caller import Caller
from playwright.sync_api import Browser, expect

from app.api import maps


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
    maps.forget()
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
    visit.forgive(404)


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


def send(caller: Caller, device: dict[str, Any], age: timedelta, value: float) -> None:
    time = datetime.now(UTC).replace(microsecond=0) - age
    reading = {"recorded_at": f"{time:%Y-%m-%dT%H:%M:%SZ}", "sensors": [{"id": 55, "value": value}]}
    assert caller.post(f"/v0/devices/{device['id']}/readings", {"data": [reading]}).status_code == 200


def test_a_devices_page_follows_what_it_sends_late_readings_too(
    visit: Visit, device: dict[str, Any], user: Caller
) -> None:
    with visit.page.expect_request("**/v0/stream?*"):
        page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator("figure .note")).to_contain_text("145 readings")  # a day of them

    send(user, device, timedelta(hours=3, minutes=3), 77)
    expect(page.locator("figure .note")).to_contain_text("146 readings")
    expect(page.locator("td.value")).to_contain_text("20 ")
    send(user, device, -timedelta(minutes=2), 33.5)
    expect(page.locator("td.value")).to_contain_text("33.5 ")
    expect(page.locator("td [aria-label=rising]")).to_be_visible()


def test_the_page_of_a_private_device_follows_it_for_its_owner(visit: Visit, user: Caller) -> None:
    device = user.register_device(name="Bedroom", is_private=True)
    send(user, device, timedelta(minutes=2), 20)
    page = visit.sign_in(user)
    with page.expect_response("**/v0/stream?*") as listening:
        page.goto(f"{visit.address}/explore#/devices/{device['id']}")
    assert listening.value.status == 200

    send(user, device, timedelta(minutes=1), 21.5)

    expect(page.locator("td.value")).to_contain_text("21.5 ")
