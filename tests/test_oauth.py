"""OAuth2 from end to end: requests-oauthlib is the application, a browser's cookies and forms are the user's."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from caller import PASSWORD, Caller, sign_up
from flask import Flask
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session
from werkzeug.serving import make_server

from app.config import Config
from app.factory import create_app
from scripts.services import free_port
from sql import DictConnection

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
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Platform(app, url)
    finally:
        server.shutdown()
        thread.join()
        app.extensions["database_pool"].close()


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("confidential", [True, False])
def test_an_application_acts_for_the_user_who_agreed(
    platform: Platform, maker: Caller, someone: Caller, confidential: bool
) -> None:
    made = register(maker, confidential=confidential)

    session = authorize(platform, made, someone, ["account"])

    assert session.get(f"{platform.url}/v0/me").json()["username"] == someone.user["username"]
    assert session.token["scope"] == ["account"]
    assert session.post(f"{platform.url}/v0/devices", json={"name": "x"}).status_code == 403, "it has no devices:write"


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


def test_a_code_without_its_verifier_is_worth_nothing(platform: Platform, maker: Caller, someone: Caller) -> None:
    made = register(maker, confidential=False)
    session, thief = application(made, ["account"]), application(made, ["account"])
    thief.authorization_url(platform.endpoint("authorization"))
    url, _ = session.authorization_url(platform.endpoint("authorization"))
    thief._state = session._state

    with pytest.raises(OAuth2Error, match="invalid_grant"):
        thief.fetch_token(
            platform.endpoint("token"), authorization_response=Browser().agree(url, someone), include_client_id=True
        )


def test_a_code_that_is_used_twice_ends_what_it_began(platform: Platform, maker: Caller, someone: Caller) -> None:
    made = register(maker)
    session = application(made, ["account"])
    url, _ = session.authorization_url(platform.endpoint("authorization"))
    back = Browser().agree(url, someone)
    how = {"authorization_response": back, "client_secret": made["client_secret"]}
    session.fetch_token(platform.endpoint("token"), **how)
    token = session.access_token
    assert works(platform, token)

    with pytest.raises(OAuth2Error, match="invalid_grant"):
        session.fetch_token(platform.endpoint("token"), **how)

    assert not works(platform, token)


def test_a_refreshed_token_works_and_the_old_one_used_again_ends_all(
    platform: Platform, maker: Caller, someone: Caller
) -> None:
    made = register(maker)
    first = authorize(platform, made, someone, ["account", "devices:read"]).token

    second = refresh(platform, made, first["refresh_token"])
    assert works(platform, second["access_token"])
    assert second["scope"] == ["account", "devices:read"]

    with pytest.raises(OAuth2Error, match="invalid_grant"):
        refresh(platform, made, first["refresh_token"])

    assert not works(platform, second["access_token"])
    with pytest.raises(OAuth2Error, match="invalid_grant"):
        refresh(platform, made, second["refresh_token"])


def test_a_refresh_token_is_no_use_to_another_application_or_as_a_sign_in(
    platform: Platform, maker: Caller, someone: Caller
) -> None:
    made, other = register(maker), register(maker)
    token = authorize(platform, made, someone, ["account"]).token

    with pytest.raises(OAuth2Error, match="invalid_grant"):
        refresh(platform, other, token["refresh_token"])
    assert someone.post("/v0/sessions/refresh", {"refresh_token": token["refresh_token"]}).status_code == 401

    assert works(platform, refresh(platform, made, token["refresh_token"])["access_token"])


def test_with_its_own_credentials_an_application_acts_for_its_owner(platform: Platform, maker: Caller) -> None:
    made = register(maker)
    session = OAuth2Session(client=BackendApplicationClient(made["client_id"], scope=["account"]))

    session.fetch_token(platform.endpoint("token"), client_secret=made["client_secret"])

    assert session.get(f"{platform.url}/v0/me").json()["username"] == maker.user["username"]
    assert "refresh_token" not in session.token


def test_a_wrong_secret_opens_nothing_and_a_new_one_voids_the_old(platform: Platform, maker: Caller) -> None:
    made = register(maker)
    renewed = maker.post(f"/v0/applications/{made['id']}/secret").json

    def fetch(secret: str) -> None:
        OAuth2Session(client=BackendApplicationClient(made["client_id"], scope=["account"])).fetch_token(
            platform.endpoint("token"), client_secret=secret
        )

    for secret in ("wrong", made["client_secret"]):
        with pytest.raises(OAuth2Error, match="invalid_client"):
            fetch(secret)
    fetch(renewed["client_secret"])


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_revoked_token_takes_the_other_with_it(platform: Platform, maker: Caller, someone: Caller, kind: str) -> None:
    made, other = register(maker), register(maker)
    token = authorize(platform, made, someone, ["account"]).token

    def revoke(as_application: dict[str, Any]) -> int:
        auth = (as_application["client_id"], as_application["client_secret"])
        return requests.post(platform.endpoint("revocation"), {"token": token[kind]}, auth=auth, timeout=10).status_code

    assert revoke(other) == 400
    assert works(platform, token["access_token"]), "it was not the other's to revoke"
    assert revoke(made) == 200

    assert not works(platform, token["access_token"])
    with pytest.raises(OAuth2Error, match="invalid_grant"):
        refresh(platform, made, token["refresh_token"])


def test_an_unknown_token_is_as_good_as_revoked(platform: Platform, maker: Caller) -> None:
    made = register(maker)
    auth = (made["client_id"], made["client_secret"])

    for token in ("unknown", "0e3a9a5c-3f6e-4f0e-9d0a-3d6a9c1f2b3e.x", ""):
        answer = requests.post(platform.endpoint("revocation"), {"token": token}, auth=auth, timeout=10)
        assert answer.status_code == 200


def test_an_application_learns_what_its_own_tokens_are_good_for(
    platform: Platform, maker: Caller, someone: Caller
) -> None:
    made, other = register(maker), register(maker)
    token = authorize(platform, made, someone, ["account"]).token

    def introspect(text: str, by: dict[str, Any]) -> dict[str, Any]:
        auth = (by["client_id"], by["client_secret"])
        return dict(requests.post(platform.endpoint("introspection"), {"token": text}, auth=auth, timeout=10).json())

    for kind in ("access_token", "refresh_token"):
        said = introspect(token[kind], made)
        assert said == {
            "active": True,
            "client_id": made["client_id"],
            "scope": "account",
            "sub": str(someone.user["id"]),
            "username": someone.user["username"],
            "exp": said["exp"],
        }
    assert introspect(token["access_token"], other) == {"active": False}
    assert introspect("unknown", made) == {"active": False}
    assert introspect(str(someone.access_token), made) == {"active": False}
    someone.delete("/v0/me")
    assert introspect(token["access_token"], made) == {"active": False}


def test_the_tokens_of_a_deleted_application_are_void(platform: Platform, maker: Caller, someone: Caller) -> None:
    made = register(maker)
    token = authorize(platform, made, someone, ["account"]).token

    assert maker.delete(f"/v0/applications/{made['id']}").status_code == 200

    assert not works(platform, token["access_token"])


def test_a_user_puts_an_application_out(platform: Platform, maker: Caller, someone: Caller) -> None:
    token = authorize(platform, register(maker, name="Nosy map"), someone, ["account"]).token

    [session] = [session for session in someone.get("/v0/sessions").json if session["application"] == "Nosy map"]
    assert session["scopes"] == ["account"]
    assert someone.delete(f"/v0/sessions/{session['id']}").status_code == 200

    assert not works(platform, token["access_token"])


def test_of_many_with_one_code_one_gets_a_token(platform: Platform, maker: Caller, someone: Caller) -> None:
    made = register(maker)
    fields = {"response_type": "code", "client_id": made["client_id"], "redirect_uri": CALLBACK, "scope": "account"}
    back = Browser().agree(f"{platform.endpoint('authorization')}?{urlencode(fields)}", someone)
    fields = {
        "grant_type": "authorization_code",
        "redirect_uri": CALLBACK,
        "code": parse_qs(urlsplit(back).query)["code"][0],
    }
    auth = (made["client_id"], made["client_secret"])

    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: requests.post(platform.endpoint("token"), fields, auth=auth, timeout=10), range(8))
        )

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


def test_a_new_password_ends_what_applications_had(platform: Platform, maker: Caller, someone: Caller) -> None:
    token = authorize(platform, register(maker), someone, ["account"]).token

    someone.patch("/v0/me", {"password": "another battery"})

    assert not works(platform, token["access_token"])


def test_the_metadata_is_what_the_standard_wants(platform: Platform) -> None:
    AuthorizationServerMetadata(platform.metadata).validate()

    assert platform.metadata["issuer"] == platform.url
    assert platform.metadata["code_challenge_methods_supported"] == ["S256"]


def test_oauth_is_not_spoken_in_the_clear(platform: Platform) -> None:
    answer = platform.app.test_client().post("/oauth/token", base_url="http://almanac.example")

    assert (answer.status_code, answer.json["error"]) == (400, "insecure_transport")


def test_secrets_and_codes_are_kept_as_hashes(
    platform: Platform, maker: Caller, someone: Caller, conn: DictConnection
) -> None:
    made = register(maker)
    url, _ = application(made, ["account"]).authorization_url(platform.endpoint("authorization"))
    code = re.findall(r"code=([^&]+)", Browser().agree(url, someone))[0]
    tables = ("applications", "authorization_codes", "sessions")

    kept = "".join(str(conn.execute(f"SELECT {table}::text FROM {table}".encode()).fetchall()) for table in tables)

    assert made["client_id"] in kept
    assert made["client_secret"] not in kept
    assert code not in kept


@pytest.mark.parametrize(
    "uri",
    [
        "http://map.example.org/callback",
        "https://map.example.org/#fragment",
        "https://user:password@map.example.org/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/callback",
        "https://",
        "https://map.example.org/a b",
    ],
)
def test_an_address_that_would_leak_codes_is_not_registered(maker: Caller, uri: str) -> None:
    answer = maker.post("/v0/applications", {"name": "map", "scopes": ["account"], "redirect_uris": [uri]})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["redirect_uris.0"])


@pytest.mark.parametrize("uri", [CALLBACK, "http://127.0.0.1:8080/", "http://[::1]/x", "org.example.app:/callback"])
def test_pages_and_native_programs_can_be_sent_back_to(maker: Caller, uri: str) -> None:
    assert register(maker, redirect_uris=[uri])["redirect_uris"] == [uri]


def test_an_applications_secret_is_shown_once(maker: Caller, new_user: Callable[..., Caller]) -> None:
    made = register(maker)
    path = f"/v0/applications/{made['id']}"

    shown = maker.get(path).json
    assert shown == {key: value for key, value in made.items() if key != "client_secret"}
    assert maker.get("/v0/applications").json == [shown]
    assert new_user().get(path).status_code == 404
    assert maker.patch(path, {"redirect_uri": "https://a.example/ https://b.example/"}).json["redirect_uris"] == [
        "https://a.example/",
        "https://b.example/",
    ]


def test_an_application_without_a_secret_must_say_where_it_is(maker: Caller) -> None:
    answer = maker.post("/v0/applications", {"name": "map", "scopes": ["account"], "confidential": False})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["redirect_uris"])


@pytest.mark.parametrize("endpoint", ["token", "revocation", "introspection"])
@pytest.mark.parametrize("client", ["\xe9", "%00", "nobody"])
def test_credentials_that_nobody_has_are_no_error_of_ours(platform: Platform, endpoint: str, client: str) -> None:
    fields = {"grant_type": "client_credentials", "token": "x"}

    answer = requests.post(platform.endpoint(endpoint), fields, auth=(client, "secret"), timeout=10)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_page_of_consent_for_an_impossible_client_says_so(platform: Platform) -> None:
    url = f"{platform.endpoint('authorization')}?response_type=code&client_id=%00"

    assert requests.get(url, timeout=10).status_code == 400
