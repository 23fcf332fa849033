"""What OAuth2 needs around the platform: an application, with requests-oauthlib, and a user at a browser."""

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from caller import PASSWORD, Caller, sign_up
from flask import Flask
from requests_oauthlib import OAuth2Session
from serving import served_here

from app.config import Config
from app.factory import create_app
from scripts.services import free_port

CALLBACK = "https://map.example.org/callback"


class Platform:
    """The API on a port, as programs of others see it."""

    def __init__(self, app: Flask, url: str) -> None:
        self.app, self.url = app, url
        self.metadata = requests.get(f"{url}/.well-known/oauth-authorization-server", timeout=10).json()

    def endpoint(self, name: str) -> str:
        return str(self.metadata[f"{name}_endpoint"])


@pytest.fixture(scope="module")
def platform(config: Config) -> Iterator[Platform]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    app = create_app(replace(config, public_url=url))
    with served_here(app, port):
        yield Platform(app, url)
    app.extensions["database_pool"].close()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the library's own: it would insist on TLS here
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def maker(platform: Platform) -> Caller:
    """Who registers applications."""
    return sign_up(platform.app)


@pytest.fixture
def someone(platform: Platform) -> Caller:
    """Whose account an application would like to use."""
    return sign_up(platform.app)


def register(maker: Caller, **fields: object) -> dict[str, Any]:
    answer = maker.post(
        "/v0/applications",
        {"name": "Air map", "redirect_uris": [CALLBACK], "scopes": ["devices:read", "account"], **fields},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


class Form(HTMLParser):
    """The fields of a page's first form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._closed = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        if tag == "input" and not self._closed:
            self.fields[str(about["name"])] = about.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._closed = self._closed or tag == "form"


class Browser:
    """Keeps cookies, fills in forms, and stops where it would leave for the application."""

    def __init__(self) -> None:
        self._session = requests.Session()

    def get(self, url: str) -> requests.Response:
        return self._session.get(url, timeout=10, allow_redirects=False)

    def submit(self, page: requests.Response, **fields: str) -> requests.Response:
        answer = self._session.post(page.url, {**Form(page.text).fields, **fields}, timeout=10, allow_redirects=False)
        if answer.status_code == 303:
            return self.get(requests.compat.urljoin(page.url, answer.headers["Location"]))
        return answer

    def agree(self, url: str, who: Caller, answer: str = "allow") -> str:
        """Sign in, answer the question, and return where the browser is sent."""
        consent = self.submit(self.get(url), username=who.user["username"], password=PASSWORD)
        sent = self.submit(consent, answer=answer)
        assert sent.status_code == 302, sent.text
        return str(sent.headers["Location"])


def application(made: dict[str, Any], scope: list[str], pkce: str | None = "S256") -> OAuth2Session:
    return OAuth2Session(made["client_id"], redirect_uri=CALLBACK, scope=scope, pkce=pkce)


def authorize(platform: Platform, made: dict[str, Any], who: Caller, scope: list[str]) -> OAuth2Session:
    """Go the whole way and return the application's session, with its tokens."""
    session = application(made, scope)
    url, _ = session.authorization_url(platform.endpoint("authorization"))
    session.fetch_token(
        platform.endpoint("token"),
        authorization_response=Browser().agree(url, who),
        client_secret=made["client_secret"],
        include_client_id=made["client_secret"] is None,
    )
    return session


def refresh(platform: Platform, made: dict[str, Any], token: str) -> dict[str, Any]:
    return dict(
        OAuth2Session(made["client_id"]).refresh_token(
            platform.endpoint("token"), refresh_token=token, auth=(made["client_id"], made["client_secret"])
        )
    )


def works(platform: Platform, token: str) -> bool:
    answer = requests.get(f"{platform.url}/v0/me", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.status_code in (200, 401)
    return answer.status_code == 200
