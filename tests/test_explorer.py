"""The explorer in a real browser: from the map to a device, its charts and what one takes away."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Visit
from caller import Caller
from playwright.sync_api import Browser, Route, expect

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


def test_a_value_beyond_the_scale_is_said_to_be(visit: Visit, user: Caller, admin: Caller) -> None:
    names = {"name": f"Salt {user.user['username']}", "description": "…"}
    measurement = admin.post("/v0/measurements", names).json["id"]
    sensor = admin.post("/v0/sensors", {**names, "unit": "g/l", "measurement_id": measurement}).json["id"]
    for place, value in enumerate((20, 21, 22, 23, 1000)):
        device = user.register_device(name=f"Buoy {value}", latitude=-55, longitude=-100 + place)
        reading = {
            "recorded_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "sensors": [{"id": sensor, "value": value}],
        }
        assert user.post(f"/v0/devices/{device['id']}/readings", {"data": [reading]}).status_code == 200
    maps.forget()
    page = visit.go(f"explore#/?at=-55,-98,7&m={measurement}")

    expect(page.locator("#legend .ends")).to_have_text("20 g/l≥ 23 g/l")
    page.get_by_text("List them").click()
    expect(page.get_by_role("listitem").filter(has_text="Buoy 1000")).to_contain_text("(beyond the scale)")
    expect(page.get_by_role("listitem").filter(has_text="Buoy 23")).not_to_contain_text("beyond")


def test_what_is_seen_has_an_address(visit: Visit, device: dict[str, Any], address: str) -> None:
    page = visit.go(f"#/devices/{device['id']}")
    page.get_by_role("button", name="a week").click()
    page.get_by_label("Times in").select_option("UTC")
    expect(page).to_have_url(re.compile("last=1w.*tz=UTC"))

    seen = page.url
    page.goto("about:blank")
    page.goto(seen)

    expect(page.get_by_label("Times in")).to_have_value("UTC")
    expect(page.get_by_role("button", name="a week")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("figure .note")).to_contain_text("One point an hour")
    page.get_by_role("button", name="Copy link to this view").click()
    expect(page.get_by_role("alert")).to_contain_text("link is copied")
    assert re.search("from=.*to=", page.evaluate("navigator.clipboard.readText()"))


def test_an_address_given_to_the_open_page_is_followed_and_found_again_on_the_way_back(
    visit: Visit, device: dict[str, Any]
) -> None:
    page = visit.go()
    expect(page.locator("#legend .count")).to_contain_text("in view")
    page.evaluate("location.hash = '#/?at=-40,0,8&online=1'")
    expect(page.locator("#legend .count")).to_contain_text("No device here passes the filters")
    expect(page.get_by_label("only devices online now")).to_be_checked()

    page.evaluate("id => { location.hash = `#/devices/${id}` }", device["id"])
    page.get_by_role("button", name="a week").click()
    page.evaluate("id => { location.hash = `#/devices/${id}` }", device["id"])
    expect(page.get_by_role("button", name="a day")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Back to the map").click()
    expect(page).to_have_url(re.compile("at=27.7.*online=1"))


def test_a_page_that_was_left_while_it_read_leaves_the_address_alone(visit: Visit, device: dict[str, Any]) -> None:
    page, waiting = visit.go(f"#/devices/{device['id']}?last=1w"), list[Route]()
    expect(page.locator("figure .note")).to_contain_text("One point an hour")
    page.route(f"**/devices/{device['id']}", lambda route: waiting.append(route))
    with page.expect_request(f"**/devices/{device['id']}"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # it looks what came meanwhile
    page.evaluate("location.hash = '#/sign-in'")
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    with page.expect_response(f"**/devices/{device['id']}"):
        waiting.pop().continue_()
    page.evaluate("fetch('/healthz').then(answer => answer.text())")  # by then it has been read

    assert page.url.endswith("#/sign-in")


def test_who_uses_the_keyboard_skips_the_map(visit: Visit, device: dict[str, Any]) -> None:
    page = visit.go()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#legend summary").first).to_be_focused()

    page.evaluate("id => { location.hash = `#/devices/${id}` }", device["id"])
    expect(page.get_by_role("heading", name="Roof of the school")).to_be_visible()
    page.get_by_role("link", name="Skip the map").press("Enter")
    expect(page.locator("#panel")).to_be_focused()
    expect(page.get_by_role("heading", name="Roof of the school")).to_be_visible()


def test_slow_charts_keep_nobody_from_going_on(visit: Visit, device: dict[str, Any], user: Caller) -> None:
    page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator(".plot[role=img]")).to_have_count(1)
    page.route("**/readings?*", lambda route: None)
    for _ in range(2):
        page.get_by_role("button", name="Earlier").click()

    newest = datetime.fromisoformat(user.get(f"/v0/devices/{device['id']}").json["last_reading_at"])
    expect(page).to_have_url(re.compile(f"to={newest - timedelta(days=2):%Y-%m-%d}"))


def test_turning_the_wheel_over_a_chart_scrolls_the_page_and_zooms_with_ctrl_alone(
    visit: Visit, device: dict[str, Any]
) -> None:
    page = visit.go(f"#/devices/{device['id']}")
    page.locator(".u-over").hover()
    before = page.url
    scrolled = page.locator("#panel").evaluate("panel => panel.scrollTop")
    page.mouse.wheel(0, 100)
    page.wait_for_function("before => document.querySelector('#panel').scrollTop > before", arg=scrolled)
    assert page.url == before

    page.locator(".u-over").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, 100)
    expect(page).to_have_url(re.compile("from="))


def test_a_device_is_compared_with_one_that_measures_the_same_with_another_sensor(
    visit: Visit, device: dict[str, Any], user: Caller, tmp_path: Path
) -> None:
    balcony, silent = user.register_device(name="Balcony"), user.register_device(name="Cellar")
    send(user, balcony, timedelta(minutes=30), 18, sensor=12)
    page = visit.go(f"#/devices/{device['id']}")
    page.get_by_label("Compare with device").fill(f"#{balcony['id']}, #{silent['id']}")
    page.keyboard.press("Enter")

    expect(page.locator(".u-legend")).to_contain_text("Balcony")
    expect(page.locator("figure .note")).to_contain_text("Cellar does not measure this")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this view").click()
    download.value.save_as(tmp_path / "view.csv")
    head = (tmp_path / "view.csv").read_text().splitlines()[0]
    assert head == "time,Sensirion SHT31 - Temperature [ºC],Balcony: HPP828E031 - Temperature [ºC]"


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


def test_a_page_that_the_platform_does_not_give_is_tried_again(visit: Visit, device: dict[str, Any]) -> None:
    where = f"**/v0/devices/{device['id']}"
    visit.page.route(where, lambda route: route.fulfill(status=503, json={"message": "the database is away"}))
    page = visit.go(f"#/devices/{device['id']}")
    expect(page.get_by_role("alert")).to_contain_text("the database is away")
    visit.forgive(503)

    page.unroute(where)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Roof of the school")).to_be_visible()


def test_a_chart_says_why_it_is_empty(visit: Visit, device: dict[str, Any]) -> None:
    refused = {"status": 503, "json": {"message": "the database is away"}}
    visit.page.route("**/readings?*", lambda route: route.fulfill(**refused))
    page = visit.go(f"#/devices/{device['id']}")

    expect(page.locator("figure .note")).to_have_text("the database is away")
    visit.forgive(503)


def test_a_device_that_comes_late_does_not_cover_the_one_chosen_meanwhile(
    visit: Visit, device: dict[str, Any], user: Caller
) -> None:
    slow = user.register_device(name="Slow to come")
    held: list[Route] = []
    visit.page.route(f"**/v0/devices/{slow['id']}", lambda route: held.append(route))
    page = visit.go(f"#/devices/{slow['id']}")
    page.evaluate("id => { location.hash = `#/devices/${id}` }", device["id"])
    expect(page.get_by_role("heading", name="Roof of the school")).to_be_visible()
    with page.expect_response(f"**/v0/devices/{slow['id']}"):
        held[0].continue_()
    page.wait_for_timeout(100)

    expect(page.get_by_role("heading", level=2)).to_have_text("Roof of the school")


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
def test_nothing_is_wider_than_the_screen(visit: Visit, user: Caller, width: int) -> None:
    device = user.register_device(name="Donau" * 30, description=f"https://example.org/{'long' * 50}")
    send(user, device, timedelta(minutes=2), 20)
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator(".plot[role=img]")).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#panel").evaluate("panel => panel.scrollWidth - panel.clientWidth") == 0


def test_of_many_components_the_first_are_shown_until_all_are_asked_for(visit: Visit, user: Caller) -> None:
    device = user.register_device(name="Forty components")
    sensors = [{"id": sensor["id"], "value": 20} for sensor in user.get("/v0/sensors?per_page=40").json]
    reading = {"recorded_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "sensors": sensors}
    assert user.post(f"/v0/devices/{device['id']}/readings", {"data": [reading]}).status_code == 200
    page = visit.go(f"#/devices/{device['id']}")
    rows = page.get_by_role("row").filter(has=page.get_by_role("checkbox"))
    expect(rows).to_have_count(12)

    page.get_by_role("button", name="Show all 40 components").press("Enter")
    expect(rows).to_have_count(40)
    expect(rows.nth(12).get_by_role("checkbox")).to_be_focused()


def send(caller: Caller, device: dict[str, Any], age: timedelta, value: float, sensor: int = 55) -> None:
    time = datetime.now(UTC).replace(microsecond=0) - age
    reading = {"recorded_at": f"{time:%Y-%m-%dT%H:%M:%SZ}", "sensors": [{"id": sensor, "value": value}]}
    assert caller.post(f"/v0/devices/{device['id']}/readings", {"data": [reading]}).status_code == 200


def test_a_devices_page_follows_what_it_sends_late_readings_too(
    visit: Visit, device: dict[str, Any], user: Caller
) -> None:
    with visit.page.expect_request("**/v0/stream?*"):
        page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator("figure .note")).to_contain_text("145 readings")  # a day of them

    page.get_by_label("Show the history of").focus()
    page.locator(".u-over").hover()
    send(user, device, timedelta(hours=3, minutes=3), 77)
    expect(page.locator("figure .note")).to_contain_text("146 readings")
    expect(page.locator("td.value")).to_contain_text("20 ")
    send(user, device, -timedelta(minutes=2), 33.5)
    expect(page.locator("td.value")).to_contain_text("33.5 ")
    expect(page.locator("td [aria-label=rising]")).to_be_visible()
    expect(page.get_by_label("Show the history of")).to_be_focused()
    expect(page.locator(".u-legend")).to_contain_text("ºC")  # what the mouse points at


def test_the_page_of_a_private_device_follows_it_for_its_owner(visit: Visit, user: Caller) -> None:
    device = user.register_device(name="Bedroom", is_private=True)
    send(user, device, timedelta(minutes=2), 20)
    page = visit.sign_in(user)
    with page.expect_response("**/v0/stream?*") as listening:
        page.goto(f"{visit.address}/explore#/devices/{device['id']}")
    assert listening.value.status == 200

    send(user, device, timedelta(minutes=1), 21.5)

    expect(page.locator("td.value")).to_contain_text("21.5 ")


def test_a_device_that_never_spoke_shows_its_first_reading_by_itself(visit: Visit, user: Caller) -> None:
    device = user.register_device(name="Just built")
    with visit.page.expect_response("**/v0/stream?*"):
        page = visit.go(f"#/devices/{device['id']}")
    expect(page.get_by_role("heading", name="has not sent anything yet")).to_be_visible()
    with page.expect_response(f"**/v0/devices/{device['id']}"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # somebody looks at the page again

    send(user, device, timedelta(seconds=-1), 21.5)
    expect(page.locator("td.value")).to_contain_text("21.5 ")
    expect(page.locator("figure .note")).to_contain_text("from 1 reading.")
    expect(page.locator(".tag.online")).to_be_visible()
    assert "from=" not in page.url  # still the day that ends now, also for who keeps this address


def test_a_page_that_was_out_of_sight_catches_up_and_follows_again(
    visit: Visit, device: dict[str, Any], user: Caller
) -> None:
    page = visit.go(f"#/devices/{device['id']}")
    expect(page.locator("figure .note")).to_contain_text("145 readings")
    turn = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })"
    turn += "; document.dispatchEvent(new Event('visibilitychange')) }"
    page.evaluate(turn, arg=True)
    send(user, device, -timedelta(minutes=1), 41)
    with page.expect_response("**/v0/stream?*"):
        page.evaluate(turn, arg=False)
    expect(page.locator("td.value")).to_contain_text("41 ")

    newest = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=2)
    with page.expect_request(lambda asked: f"to={newest:%Y-%m-%dT%H:%M}" in unquote(asked.url)):
        send(user, device, -timedelta(minutes=2), 42)
    expect(page.locator("td.value")).to_contain_text("42 ")


def test_a_page_that_may_not_listen_counts_on_and_asks_again(
    visit: Visit, device: dict[str, Any], user: Caller
) -> None:
    visit.page.clock.install()
    visit.page.route("**/v0/stream?*", lambda route: route.fulfill(status=503))
    with visit.page.expect_response("**/v0/stream?*"):
        page = visit.go(f"#/devices/{device['id']}")
    visit.forgive(503)
    page.unroute("**/v0/stream?*")
    send(user, device, -timedelta(minutes=1), 41)
    with page.expect_response("**/v0/stream?*"):
        page.clock.fast_forward(10_000)
    expect(page.locator("td.value")).to_contain_text("41 ")
    page.clock.fast_forward(600_000)
    expect(page.locator("td time")).to_contain_text("9 min ago")
