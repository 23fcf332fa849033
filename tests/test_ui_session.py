"""The explorer's sign-in: a cookie for the browser, a short-lived access token for its page, and nothing for others."""

from collections.abc import Callable
from typing import Any

import pytest
from caller import PASSWORD, Caller
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """A browser, which keeps cookies."""
    return app.test_client()


def enter(browser: FlaskClient, user: Caller, **fields: Any) -> TestResponse:
    token = browser.get("/ui/session").json["form_token"]
    form = {"username": user.user["username"], "password": PASSWORD, "form_token": token, **fields}
    return browser.post("/ui/session", data=form)


def me(browser: FlaskClient, token: str) -> int:
    return browser.get("/v0/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_who_has_signed_in_gets_a_token_that_opens_the_api_until_they_sign_out(
    browser: FlaskClient, user: Caller
) -> None:
    signed_in = enter(browser, user).json
    again = browser.get("/ui/session").json

    assert again["user"]["username"] == user.user["username"]
    token = again["user"]["access_token"]
    assert me(browser, token) == 200
    assert browser.post("/ui/session/end", data={"form_token": again["form_token"]}).json["user"] is None
    assert me(browser, token) == me(browser, signed_in["user"]["access_token"]) == 401
    assert browser.get("/ui/session").json["user"] is None


def test_a_wrong_password_is_refused(browser: FlaskClient, user: Caller) -> None:
    refused = enter(browser, user, password="wrong horse battery")

    assert (refused.status_code, refused.json["message"]) == (422, "wrong username or password")


@pytest.mark.parametrize("path", ["/ui/session", "/ui/session/end"])
def test_a_form_that_is_not_of_this_browser_changes_nothing(browser: FlaskClient, user: Caller, path: str) -> None:
    token = enter(browser, user).json["user"]["access_token"]

    refused = browser.post(path, data={"username": "x", "password": "y", "form_token": "guessed"})

    assert refused.status_code == 403
    assert me(browser, token) == 200


@pytest.mark.parametrize("form_token", ["None", "", "null"])
def test_no_other_site_can_sign_a_browser_in_that_has_no_page_of_ours(
    browser: FlaskClient, user: Caller, form_token: str
) -> None:
    form = {"username": user.user["username"], "password": PASSWORD, "form_token": form_token}

    assert browser.post("/ui/session", data=form).status_code == 403
    assert browser.get("/ui/session").json["user"] is None


def test_the_cookie_alone_opens_no_route_of_the_api(browser: FlaskClient, user: Caller) -> None:
    enter(browser, user)

    assert browser.get("/v0/me").status_code == 401


def test_no_page_of_another_origin_may_read_who_has_signed_in(browser: FlaskClient, user: Caller) -> None:
    enter(browser, user)

    read = browser.get("/ui/session", headers={"Origin": "https://elsewhere.example.org"})

    assert "Access-Control-Allow-Origin" not in read.headers
    assert read.headers["Cache-Control"] == "no-store"


def test_the_page_says_whether_to_ask(browser: FlaskClient, user: Caller, new_user: Callable[..., Caller]) -> None:
    assert "data-session" not in browser.get("/explore").text
    enter(browser, user)

    assert 'data-session="kept"' in browser.get("/explore").text
