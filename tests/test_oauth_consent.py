"""The page on which a user agrees that an application acts for them: a browser's cookies and forms are the user's."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from caller import PASSWORD, Caller
from oauth_client import CALLBACK, Browser, Platform, application, register

pytestmark = pytest.mark.usefixtures("plain_http")


def test_the_page_says_who_asks_for_what_and_runs_no_script(platform: Platform, maker: Caller, someone: Caller) -> None:
    made = register(maker, name="<b>Air</b> map")
    url, _ = application(made, ["devices:read"]).authorization_url(platform.endpoint("authorization"))
    browser = Browser()

    sign_in = browser.get(url)
    consent = browser.submit(sign_in, username=someone.user["username"], password=PASSWORD)

    assert "&lt;b&gt;Air&lt;/b&gt; map" in consent.text
    assert maker.user["username"] in consent.text
    assert someone.user["username"] in consent.text
    assert "map.example.org" in consent.text
    assert "See your private devices" in consent.text
    assert "See and change your account" not in consent.text
    for page in (sign_in, consent):
        assert "<script" not in page.text
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert requests.get(f"{platform.url}/static/page.css", timeout=10).ok


def test_who_does_not_agree_goes_back_without_a_code(platform: Platform, maker: Caller, someone: Caller) -> None:
    url, state = application(register(maker), ["account"]).authorization_url(platform.endpoint("authorization"))

    sent = parse_qs(urlsplit(Browser().agree(url, someone, answer="deny")).query)

    assert sent == {"error": ["access_denied"], "error_description": sent["error_description"], "state": [state]}


def test_a_wrong_password_gets_nobody_to_the_question(platform: Platform, maker: Caller, someone: Caller) -> None:
    url, _ = application(register(maker), ["account"]).authorization_url(platform.endpoint("authorization"))
    browser = Browser()

    page = browser.submit(browser.get(url), username=someone.user["username"], password="wrong")

    assert page.status_code == 422
    assert "Wrong username or password" in page.text


def test_a_form_that_is_not_ours_changes_nothing(platform: Platform, maker: Caller, someone: Caller) -> None:
    url, _ = application(register(maker), ["account"]).authorization_url(platform.endpoint("authorization"))
    browser = Browser()
    consent = browser.submit(browser.get(url), username=someone.user["username"], password=PASSWORD)

    for token in ("", "guessed", "None"):
        forged = browser.submit(consent, answer="allow", form_token=token)
        assert forged.status_code == 200
        assert "Allow" in forged.text


def test_signing_out_of_the_browser_asks_anew(platform: Platform, maker: Caller, someone: Caller) -> None:
    url, _ = application(register(maker), ["account"]).authorization_url(platform.endpoint("authorization"))
    browser = Browser()
    consent = browser.submit(browser.get(url), username=someone.user["username"], password=PASSWORD)

    assert "Sign in to continue" in browser.submit(consent, sign_out="1").text


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?next=1"},
        {"redirect_uri": "https://map.example.org.evil.example/callback"},
        {"redirect_uri": 'https://"'},
        {"client_id": "unknown"},
    ],
)
def test_nobody_is_sent_to_an_address_that_was_not_registered(
    platform: Platform, maker: Caller, change: dict[str, str]
) -> None:
    made = register(maker)
    fields = {"response_type": "code", "client_id": made["client_id"], "redirect_uri": CALLBACK, **change}

    answer = requests.get(platform.endpoint("authorization"), fields, timeout=10, allow_redirects=False)

    assert answer.status_code == 400
    assert "does not work" in answer.text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "devices:write"}, "invalid_scope"),
        ({"scope": "root"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_a_request_that_is_not_safe_goes_back_as_an_error(
    platform: Platform, maker: Caller, change: dict[str, str | None], error: str
) -> None:
    made = register(maker, confidential=False)
    fields = {
        "response_type": "code",
        "client_id": made["client_id"],
        "redirect_uri": CALLBACK,
        "scope": "account",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        **change,
    }

    answer = requests.get(platform.endpoint("authorization"), fields, timeout=10, allow_redirects=False)

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(CALLBACK + "?")
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["error"] == [error]


def test_a_page_of_consent_for_an_impossible_client_says_so(platform: Platform) -> None:
    url = f"{platform.endpoint('authorization')}?response_type=code&client_id=%00"

    assert requests.get(url, timeout=10).status_code == 400
