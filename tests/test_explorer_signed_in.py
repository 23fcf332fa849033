"""The explorer of who has signed in: from registering a device to taking its data away."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Visit
from caller import PASSWORD, Caller
from conftest import RunningBroker, RunningIngestor
from kits import publish
from playwright.sync_api import Browser, Page, expect
from waiting import wait_for

Open = Callable[[str], Page]
# What there is for who has signed in, and a text that shows that a page is all there.
PAGES = {
    "mine": "Last heard",
    "register": "What is it made of?",
    "quarantine": "no sensor has the id 9999",
    "experiments": "A class",
    "exports": "Ask for an export",
    "notifications": "Its battery is low",
    "tokens": "Where you are signed in",
    "applications": "No applications yet",
    "account": "Close my account",
    "devices/{id}/health": "Errors that it reports",
    "devices/{id}/configuration": "Tell it what to do",
    "devices/{id}/settings": "Device tokens",
    "devices/{id}/calibrate": "A new version",
}


def send(user: Caller, device: dict[str, Any], hours: int = 24) -> None:
    """Send a temperature of 20 every hour, up to now."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    data = [
        {"recorded_at": f"{now - timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}", "sensors": [{"id": 55, "value": 20}]}
        for hour in range(hours)
    ]
    answer = user.post(f"/v0/devices/{device['id']}/readings", {"data": data})
    assert answer.status_code == 200, answer.text


def test_a_stranger_makes_an_account_and_signs_out_again(visit: Visit, anybody: Caller) -> None:
    page = visit.go("explore#/mine")
    page.get_by_role("button", name="Make an account").click()
    page.get_by_label("Username").fill("browsing-ada")
    page.get_by_label("E-mail address").fill("browsing-ada@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Make an account").click()

    expect(page.get_by_role("heading", name="Your first device")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Your first device")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_wrong_password_is_said_to_be_wrong(visit: Visit, user: Caller) -> None:
    page = visit.go("explore#/sign-in")
    page.get_by_label("Username or e-mail address").fill(user.user["username"])
    page.get_by_label("Password", exact=True).fill("not my password")
    page.locator("#panel").get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("wrong username or password")
    visit.forgive(422)


def test_a_device_is_registered_and_its_first_reading_arrives(
    signed_in: Open, visit: Visit, broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    page = signed_in("#/register")
    page.set_viewport_size({"width": 390, "height": 844})  # most people hold the kit in the other hand
    page.get_by_text("SmartCitizen Kit 2.1").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    visit.forgive(422)
    page.get_by_label("Name").fill("Roof")
    page.get_by_label("Latitude").fill("27.7172")
    page.get_by_label("Longitude").fill("85.324")
    page.get_by_role("button", name="Register", exact=True).click()

    token = page.locator(".secret code").inner_text()
    expect(page.locator("pre")).to_contain_text(token)
    expect(page.get_by_role("heading", name="Waiting for the first reading")).to_be_visible()
    publish(broker, token, "readings/raw", b"{t:%b,55:21.4}" % f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode())

    expect(page.get_by_role("heading", name="The first reading has arrived")).to_be_visible()
    expect(page.get_by_text("21.4 ºC")).to_be_visible()
    page.get_by_role("link", name="See its charts").click()
    expect(page.get_by_role("heading", name="Roof")).to_be_visible()


def test_my_devices_and_their_health_are_at_a_glance(signed_in: Open, user: Caller) -> None:
    send(user, user.register_device(name="Speaks"), hours=1)
    user.register_device(name="Silent")
    page = signed_in("#/mine")
    page.reload()

    expect(page.get_by_role("row", name=re.compile("Speaks"))).to_contain_text("online")
    expect(page.get_by_role("row", name=re.compile("Silent"))).to_contain_text("has not sent yet")


def test_a_calibration_is_previewed_saved_and_changes_history(
    signed_in: Open, visit: Visit, user: Caller, work: Callable[[], None]
) -> None:
    device = user.register_device(name="To calibrate")
    send(user, device)
    page = signed_in(f"#/devices/{device['id']}/calibrate?sensor=55")
    page.get_by_label("Equation").fill("raw + 2 *")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".reason")).to_be_visible()
    visit.forgive(422)
    page.get_by_label("Equation").fill("raw + 2.5")
    page.get_by_label("From").fill("1999-12-31")
    page.get_by_role("button", name="Save this version").click()
    expect(page.locator(".reason")).to_contain_text("greater than or equal to 2000")
    visit.forgive(422)
    page.get_by_label("From").fill("2000-01-02")
    page.get_by_role("button", name="Preview").click()

    expect(page.locator(".plot[role=img]")).to_be_visible()
    expect(page.get_by_text("values change by 2.50")).to_be_visible()
    assert {row[1] for row in user.history(device["id"], 55, rollup="1h")} == {20.0}

    page.get_by_role("button", name="Save this version").click()
    expect(page.get_by_text("being computed anew")).to_be_visible()
    work()
    expect(page.get_by_text("24 values of its history have changed")).to_be_visible()
    assert {row[1] for row in user.history(device["id"], 55, rollup="1h")} == {22.5}
    expect(page.get_by_role("row", name=re.compile(r"raw \+ 2\.5"))).to_contain_text("this device")


def test_what_is_in_quarantine_is_released_with_its_clock_put_right(signed_in: Open, user: Caller) -> None:
    device = user.register_device(name="Slow clock")
    data = [{"recorded_at": "1999-12-31T22:30:00Z", "sensors": [{"id": 55, "value": 21.4}]}]
    user.post(f"/v0/devices/{device['id']}/readings", {"data": data})
    page = signed_in(f"#/quarantine?device={device['id']}")
    expect(page.get_by_role("row", name=re.compile("Impossible time"))).to_be_visible()
    page.get_by_text("bytes").click()
    expect(page.locator("pre")).to_contain_text("1999-12-31")

    page.get_by_label("all on this page").check()
    page.get_by_label("Shift their times by").fill("9125")
    page.get_by_label("Unit").select_option("days")
    page.get_by_role("button", name="Release").click()

    expect(page.get_by_role("alert")).to_contain_text("1 stored")
    expect(page.get_by_text("Nothing passes the filters")).to_be_visible()
    assert user.history(device["id"], 55, rollup="0s", **{"from": "2024-01-01"}) == [["2024-12-24T22:30:00Z", 21.4]]


def test_the_full_archive_is_prepared_with_its_progress_and_downloaded(
    signed_in: Open, user: Caller, work: Callable[[], None], tmp_path: Path
) -> None:
    device = user.register_device(name="To take away")
    send(user, device)
    page = signed_in(f"#/devices/{device['id']}")
    page.get_by_role("button", name="Prepare the full archive").dblclick()  # as some people do
    expect(page.get_by_text("waits for its turn")).to_be_visible()
    work()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    download.value.save_as(tmp_path / "archive")
    page.goto(f"{page.url.split('#')[0]}#/exports")

    assert (tmp_path / "archive").stat().st_size > 0
    expect(page.get_by_role("article")).to_contain_text("ready")


def test_an_export_that_waits_can_be_cancelled_and_deleted(
    signed_in: Open, user: Caller, work: Callable[[], None]
) -> None:
    device = user.register_device(name="To export")
    page = signed_in(f"#/exports?device={device['id']}")
    page.get_by_role("button", name="Prepare the file").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("article")).to_contain_text("cancelled")
    page.get_by_role("button", name="Prepare the file").click()
    waiting = page.get_by_role("article").filter(has_text="waits for its turn")
    expect(waiting).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    with page.expect_response("**/v0/exports?*"):  # how far the other one is
        pass
    page.get_by_role("button", name="Really delete?").click()

    expect(page.get_by_role("article")).to_have_count(1)
    expect(waiting).to_be_visible()


def test_a_private_token_is_shown_once_works_and_is_revoked(signed_in: Open, user: Caller) -> None:
    page = signed_in("#/tokens")
    page.get_by_label("Name").fill("night job")
    page.get_by_label("register, change and archive devices").check()
    page.get_by_role("button", name="Make a token").click()
    token = page.locator(".secret code").inner_text()
    job = Caller(user.app, token)

    assert job.post("/v0/devices", {"name": "By night"}).status_code == 201
    page.get_by_role("row", name=re.compile("night job")).get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Really?").click()
    expect(page.get_by_role("heading", name="No tokens yet")).to_be_visible()
    assert job.post("/v0/devices", {"name": "By night"}).status_code == 401


def test_sessions_are_told_apart_by_program_and_network(signed_in: Open, user: Caller) -> None:
    login = {"username": user.user["username"], "password": PASSWORD}
    elsewhere = {"REMOTE_ADDR": "203.0.113.77"}
    user.post("/v0/sessions", login, headers={"User-Agent": "curl/8.5.0"}, environ_overrides=elsewhere)
    page = signed_in("#/tokens")

    here = page.get_by_role("row", name=re.compile("this one"))
    expect(here).to_contain_text("Chrome on")
    expect(here).to_contain_text("127.0.0.0/24")
    script = page.get_by_role("row", name=re.compile("curl"))
    expect(script).to_contain_text("203.0.113.0/24")
    script.get_by_role("button", name="End").click()
    script.get_by_role("button", name="Really?").click()
    expect(script).to_have_count(0)


def test_who_one_is_and_the_password_are_changed(signed_in: Open, visit: Visit, user: Caller) -> None:
    page = signed_in("#/account")
    page.get_by_label("E-mail address").fill("no address")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".reason")).to_contain_text("is no e-mail address", ignore_case=True)
    visit.forgive(422)
    address = f"elsewhere-{user.user['id']}@example.org"
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("City").fill("Lleida")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_label("New password").fill("another password that is long")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("Elsewhere you are signed out.", exact=False).last).to_be_visible()

    login = {"username": address, "password": "another password that is long"}
    token = user.post("/v0/sessions", login).json["access_token"]
    assert Caller(user.app, token).get("/v0/me").json["location"]["city"] == "Lleida"
    assert user.get("/v0/me").status_code == 401


def test_an_account_is_closed_by_who_types_its_name_and_everything_is_hidden(
    signed_in: Open, user: Caller, anybody: Caller
) -> None:
    device = user.register_device(name="Roof")
    page = signed_in("#/account")
    page.get_by_label("To be sure").fill("somebody")
    page.get_by_role("button", name="Close my account").click()
    expect(page.locator(".reason")).to_contain_text("not your username")
    assert anybody.get(f"/v0/devices/{device['id']}").status_code == 200
    page.get_by_label("To be sure").fill(user.user["username"])
    page.get_by_role("button", name="Close my account").click()

    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Your account is closed.")).to_be_visible()
    assert anybody.get(f"/v0/devices/{device['id']}").status_code == 404
    assert user.get("/v0/me").status_code == 401


def test_an_application_is_registered_and_its_secret_shown_once(signed_in: Open, visit: Visit) -> None:
    page = signed_in("#/applications")
    page.get_by_label("Name").fill("Air map")
    page.get_by_label("Where people are sent back to").fill("http://map.example.org/callback")
    page.get_by_label("see my private devices").check()
    page.get_by_role("button", name="Register the application").click()
    expect(page.get_by_role("alert").or_(page.locator(".reason")).first).to_contain_text("https")
    visit.forgive(422)
    page.get_by_label("Where people are sent back to").fill("https://map.example.org/callback")
    page.get_by_role("button", name="Register the application").click()

    expect(page.locator(".secret code")).to_be_visible()
    expect(page.get_by_role("article")).to_contain_text("https://map.example.org/callback")


def test_an_experiment_is_made_changed_and_compared(signed_in: Open, user: Caller) -> None:
    first, second = (user.register_device(name=f"Balcony {n}") for n in (1, 2))
    send(user, first), send(user, second)
    page = signed_in("#/experiments")
    page.get_by_label("Name").fill("Two balconies")
    page.get_by_role("textbox", name="Devices").fill(f"{first['id']}, {second['id']}")
    page.get_by_label("From").fill("2026-01-02")
    page.get_by_role("button", name="Make the experiment").click()
    row = page.get_by_role("row", name=re.compile("Two balconies"))
    row.get_by_role("button", name="Change").click()
    expect(page.get_by_label("From")).to_have_value("2026-01-02")
    experiment = next(each for each in user.get("/v0/experiments?q[s]=id+desc").json if each["name"] == "Two balconies")
    assert experiment["starts_at"] == "2026-01-01T18:15:00Z"  # the day begins where the browser is, in Kathmandu
    row.get_by_role("link", name="Compare").click()

    expect(page.get_by_label("Compare with device")).to_have_value(str(second["id"]))
    expect(page.locator(".u-legend")).to_contain_text("Balcony 2")


def test_a_notification_is_switched_on(signed_in: Open, user: Caller) -> None:
    device = user.register_device(name="Tells")
    page = signed_in("#/notifications")
    page.get_by_label("Its battery is low: Tells").click()

    expect(page.get_by_role("alert")).to_contain_text("Saved")
    notify = user.get(f"/v0/devices/{device['id']}").json["notify"]
    assert [name for name, wished in notify.items() if wished] == ["low_battery"]


def test_a_device_is_described_and_gets_another_token(signed_in: Open, user: Caller) -> None:
    device = user.register_device(name="Old name")
    page = signed_in(f"#/devices/{device['id']}/settings")
    page.get_by_label("Name").fill("New name")
    page.get_by_label("Private").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Saved")
    page.get_by_role("button", name="Make a token").click()

    expect(page.locator(".secret code")).to_be_visible()
    changed = user.get(f"/v0/devices/{device['id']}").json
    assert (changed["name"], changed["data_policy"]["is_private"]) == ("New name", True)
    assert len(user.get(f"/v0/devices/{device['id']}/tokens").json) == 2


def test_a_device_is_offered_to_somebody_and_put_in_the_trash(signed_in: Open, user: Caller) -> None:
    device = user.register_device(name="Old kit")
    page = signed_in(f"#/devices/{device['id']}/settings")
    page.get_by_role("button", name="Hand it over").click()
    expect(page.locator(".secret code")).to_be_visible()
    page.get_by_role("button", name="Put in the trash").click()
    page.get_by_role("button", name="Really?").click()

    expect(page.get_by_role("alert")).to_contain_text("in the trash for 30 days")
    assert [archived["id"] for archived in user.get("/v0/devices/archived").json] == [device["id"]]


def test_the_fields_of_a_row_stand_beside_each_other(signed_in: Open, user: Caller) -> None:
    page = signed_in(f"#/devices/{user.register_device()['id']}/settings")
    latitude, longitude = (page.get_by_label(name).bounding_box() for name in ("Latitude", "Longitude"))

    assert latitude
    assert longitude
    assert latitude["x"] + latitude["width"] < longitude["x"]


def test_somebody_elses_device_has_no_settings(signed_in: Open, new_user: Callable[..., Caller], visit: Visit) -> None:
    device = new_user().register_device(name="Theirs")
    page = signed_in(f"#/devices/{device['id']}")
    expect(page.get_by_role("heading", name="Theirs")).to_be_visible()
    expect(page.get_by_role("link", name="Settings")).to_have_count(0)
    signed_in(f"#/devices/{device['id']}/settings")

    expect(page.get_by_role("alert")).to_contain_text("Theirs is not yours")


def test_the_reference_tries_the_api_out_in_the_name_of_who_has_signed_in(visit: Visit, user: Caller) -> None:
    visit.sign_in(user)
    page = visit.go("docs#get-/v0/me")
    operation = page.locator("[id='get-/v0/me']")
    operation.get_by_role("button", name="TRY").click(timeout=60_000)  # the reference is large

    expect(operation.get_by_text(f'"{user.user["username"]}"').first).to_be_visible()


def test_the_reference_lists_its_operations_on_a_phone_too(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("docs")

    expect(page.get_by_text("/v0/me", exact=True).first).to_be_visible(timeout=60_000)


def test_a_device_is_told_what_to_do_and_its_answer_seen(
    signed_in: Open, user: Caller, broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    device = user.register_device(name="Obeys", kit_id=26)
    page = signed_in(f"#/devices/{device['id']}/configuration")
    page.get_by_label("Seconds from one message to the next").fill("120")
    page.get_by_role("button", name="Send to the device").click()
    expect(page.get_by_role("heading", name="It has not answered yet")).to_be_visible()
    expect(page.get_by_role("row", name="publish_interval")).to_contain_text("120")

    publish(broker, device["device_token"], "config/reported", b'{"version": 1, "applied": true}')
    expect(page.get_by_role("heading", name="It does what it was told")).to_be_visible()


def test_an_error_that_a_device_reports_is_dealt_with(
    signed_in: Open, user: Caller, broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    device = user.register_device(name="Complains")
    publish(broker, device["device_token"], "errors", b'{"code": "no_answer", "message": "the bus is silent"}')
    wait_for(lambda: user.get(f"/v0/devices/{device['id']}/errors").json)
    page = signed_in(f"#/devices/{device['id']}/health")
    expect(page.get_by_role("row", name=re.compile("no_answer"))).to_contain_text("the bus is silent")
    page.get_by_role("button", name="Dealt with").click()

    expect(page.get_by_role("row", name=re.compile("no_answer"))).to_contain_text("dealt with")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_and_a_phone_is_wide_enough_for_it(
    browser: Browser, address: str, user: Caller, scheme: str
) -> None:
    device = user.register_device(name="Seen by all", kit_id=26)
    send(user, device, hours=1)
    data = [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 9999, "value": 1}]}]
    user.post(f"/v0/devices/{device['id']}/readings", {"data": data})
    user.post("/v0/experiments", {"name": "A class", "device_ids": [device["id"]]})
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
    visit = Visit(context.new_page(), address)
    page = visit.sign_in(user)
    page.set_viewport_size({"width": 360, "height": 800})
    found = []
    for path, text in PAGES.items():
        page.evaluate("where => { location.hash = where }", f"#/{path.format(id=device['id'])}")
        expect(page.locator("#panel").get_by_text(text).first).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth > 360 || panel.scrollWidth > panel.clientWidth")
        serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        found += [(path, v["id"], [node["html"][:120] for node in v["nodes"]]) for v in serious]
        found += [(path, "wider than the screen", [])] if wide else []
        found += [(path, "writes an object", [])] if "[object" in page.inner_text("#panel") else []
    context.close()

    assert found == []
    assert visit.errors == []
