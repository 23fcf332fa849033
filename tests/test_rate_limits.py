"""Limits: who asks too often waits, and nobody else does; without Redis all is served but guesses."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from caller import PASSWORD, Caller, set_role, sign_up
from conftest import running
from flask import Flask
from redis import Redis

from app.config import Config
from app.factory import create_app
from scripts import services
from scripts.services import free_port
from sql import DictConnection


@pytest.fixture
def limited(config: Config) -> Iterator[Callable[..., Flask]]:
    """Makes an API with limits of its own, none of which has been used."""
    made = []

    def make(**limits: object) -> Flask:
        Redis.from_url(config.redis_url).flushdb()
        made.append(create_app(replace(config, **limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for app in made:
        app.extensions["database_pool"].close()


NOTHING = "/v0/devices/2147483647"


def statuses(caller: Caller, path: str, times: int, **options: object) -> list[int]:
    return [caller.get(path, **options).status_code for _ in range(times)]


def elsewhere(address: str) -> dict[str, object]:
    return {"environ_base": {"REMOTE_ADDR": address}}


def test_one_address_too_many_waits_and_another_does_not(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_anonymous=3))

    assert statuses(anybody, NOTHING, 4) == [404, 404, 404, 429]
    assert statuses(anybody, NOTHING, 1, **elsewhere("198.51.100.7")) == [404]


def test_the_refusal_says_how_long_to_wait_in_our_own_shape(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_anonymous=1))
    allowed, refused = (
        anybody.get(NOTHING),
        anybody.get(NOTHING, headers={"Origin": "https://a.example"}),
    )

    assert allowed.headers["RateLimit-Limit"] == "1"
    assert allowed.headers["RateLimit-Remaining"] == "0"
    assert "Retry-After" not in allowed.headers
    assert refused.json["id"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Retry-After"] in refused.json["message"]
    assert refused.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_a_network_of_ipv6_addresses_is_one_address(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_anonymous=1))

    assert statuses(anybody, NOTHING, 1, **elsewhere("2001:db8:1:2::1")) == [404]
    assert statuses(anybody, NOTHING, 1, **elsewhere("2001:db8:1:2:ffff::2")) == [429]
    assert statuses(anybody, NOTHING, 1, **elsewhere("2001:db8:1:3::1")) == [404]


def test_ipv4_addresses_stay_what_they_are_on_a_socket_of_both_kinds(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_anonymous=1))

    assert statuses(anybody, NOTHING, 2, **elsewhere("::ffff:198.51.100.1")) == [404, 429]
    assert statuses(anybody, NOTHING, 1, **elsewhere("::ffff:198.51.100.2")) == [404]
    assert statuses(anybody, NOTHING, 1, **elsewhere("198.51.100.1")) == [429]


@pytest.mark.parametrize(("proxies", "last"), [(0, 429), (1, 404)])
def test_only_a_proxy_that_we_trust_says_whose_request_it_is(
    limited: Callable[..., Flask], proxies: int, last: int
) -> None:
    anybody = Caller(limited(rate_limit_anonymous=1, trusted_proxies=proxies))

    def ask(address: str) -> int:
        """The first address is the client's own claim, the second what the proxy saw."""
        return anybody.get(NOTHING, headers={"X-Forwarded-For": f"203.0.113.1, {address}"}).status_code

    assert [ask("198.51.100.1"), ask("198.51.100.1"), ask("198.51.100.2")] == [404, 429, last]


def test_a_proxy_may_name_the_port_too_or_nobody(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_anonymous=1, trusted_proxies=1))

    def ask(said: str) -> int:
        return anybody.get(NOTHING, headers={"X-Forwarded-For": said}).status_code

    assert [ask("198.51.100.1:4711"), ask("198.51.100.1:4712"), ask("198.51.100.2:4711")] == [404, 429, 404]
    assert [ask("[2001:db8::1]:4711"), ask("2001:db8::2")] == [404, 429]
    assert [ask("unknown"), ask("_hidden")] == [404, 429]


def test_a_user_has_an_allowance_of_their_own_wherever_they_are(limited: Callable[..., Flask]) -> None:
    app = limited(rate_limit_anonymous=10, rate_limit_token=3)
    user = sign_up(app)
    token = user.post("/v0/me/tokens", {"name": "t", "scopes": ["account"]}).json["token"]

    assert statuses(user, "/v0/me", 2) == [200, 200]
    assert statuses(Caller(app, token), "/v0/me", 1, **elsewhere("198.51.100.7")) == [429]
    assert statuses(Caller(app), NOTHING, 1) == [404]


def test_a_made_up_token_buys_nothing(limited: Callable[..., Flask]) -> None:
    app = limited(rate_limit_anonymous=2, rate_limit_token=1000)

    assert [Caller(app, f"almanac_{number}").get("/v0/me").status_code for number in range(3)] == [401, 401, 429]


def test_a_researcher_has_no_limit(limited: Callable[..., Flask], conn: DictConnection) -> None:
    user = sign_up(limited(rate_limit_token=1))
    set_role(conn, user.user["id"], "researcher")

    assert statuses(user, "/v0/me", 3) == [200] * 3


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/explorer/explorer.css", "/v0/forward"])
def test_probes_brokers_and_the_files_of_pages_are_never_limited(limited: Callable[..., Flask], path: str) -> None:
    assert statuses(Caller(limited(rate_limit_anonymous=1)), path, 3) == [200] * 3


def test_a_browser_that_asks_whether_it_may_ask_is_not_counted(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_anonymous=1))
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}

    assert [anybody._client.options(NOTHING, headers=asked).status_code for _ in range(2)] == [204, 204]
    assert statuses(anybody, NOTHING, 2) == [404, 429]


@pytest.mark.parametrize("way", ["session", "basic"])
def test_who_guesses_passwords_waits_even_if_the_next_is_right(limited: Callable[..., Flask], way: str) -> None:
    app = limited(rate_limit_sign_in=2)
    name = sign_up(app).user["username"]

    def attempt(password: str, address: str) -> int:
        if way == "basic":
            return Caller(app).get("/v0/me", auth=(name, password), **elsewhere(address)).status_code
        fields = {"username": name, "password": password}
        return Caller(app).post("/v0/sessions", fields, **elsewhere(address)).status_code

    wrong = 401 if way == "basic" else 422
    assert [attempt("wrong", "198.51.100.1") for _ in range(2)] == [wrong, wrong]
    assert attempt(PASSWORD, "198.51.100.1") == 429, "the address has guessed too often"
    assert attempt(PASSWORD, "198.51.100.2") == 429, "too many have guessed for this user"


HOME = "203.0.113.1"


def test_guesses_of_strangers_keep_no_owner_out_where_they_have_signed_in(limited: Callable[..., Flask]) -> None:
    app = limited(rate_limit_sign_in=2)
    known = sign_up(app).user

    def attempt(login: str, password: str, address: str) -> int:
        return Caller(app).get("/v0/me", auth=(login, password), **elsewhere(address)).status_code

    assert attempt(known["username"], PASSWORD, HOME) == 200
    for login in (known["username"], known["email"]):
        assert [attempt(login, "wrong", f"198.51.100.{number}") for number in range(3)] == [401, 401, 429]

    assert attempt(known["username"], PASSWORD, HOME) == 200
    assert attempt(known["email"], PASSWORD, HOME) == 200, "the address is known for either login"
    assert attempt(known["username"], PASSWORD, "203.0.113.2") == 429, "a new address is a stranger's"
    assert [attempt(known["username"], "wrong", HOME) for _ in range(3)] == [401, 401, 429]


@pytest.mark.parametrize("spell", ["{}\0".format, "\0{}".format, str.upper])
def test_another_spelling_of_a_login_buys_no_more_guesses(
    limited: Callable[..., Flask], spell: Callable[[str], str]
) -> None:
    app = limited(rate_limit_sign_in=1)
    name = sign_up(app).user["username"]

    def attempt(login: str, address: str) -> int:
        return Caller(app).get("/v0/me", auth=(login, "wrong"), **elsewhere(address)).status_code

    assert attempt(name, "198.51.100.1") == 401
    assert attempt(spell(name), "198.51.100.2") == 429


def test_who_knows_their_password_may_use_it_often(limited: Callable[..., Flask]) -> None:
    app = limited(rate_limit_sign_in=2)
    name = sign_up(app).user["username"]

    assert statuses(Caller(app), "/v0/me", 4, auth=(name, PASSWORD)) == [200] * 4


def test_mail_for_one_account_is_limited_by_the_hour(limited: Callable[..., Flask]) -> None:
    anybody = Caller(limited(rate_limit_sign_in=1000))

    answers = [anybody.post("/v0/password_resets", {"email": "a@example.org"}).status_code for _ in range(6)]

    assert answers == [200] * 5 + [429]


@pytest.mark.parametrize("path", ["/v0/users", "/v0/onboarding/device", "/v0/onboarding/user", "/v0/password_resets"])
def test_what_makes_or_finds_something_for_anybody_is_limited_by_address(
    limited: Callable[..., Flask], path: str
) -> None:
    anybody = Caller(limited(rate_limit_sign_in=1, rate_limit_anonymous=100))

    assert anybody.post(path, {}).status_code != 429
    refused = anybody.post(path, {})
    assert refused.status_code == 429
    assert refused.headers.getlist("RateLimit-Limit") == ["1"]
    assert anybody.post(path, {}, **elsewhere("198.51.100.7")).status_code != 429


def test_a_redis_that_did_not_answer_is_left_alone_for_a_while_and_then_counts_again(
    limited: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    anybody = Caller(limited(redis_url=f"redis://127.0.0.1:{port}/0", rate_limit_anonymous=1))
    monkeypatch.setattr("app.rate_limits._LEFT_ALONE_S", 3600)
    assert statuses(anybody, NOTHING, 2) == [404, 404]

    with running(services.redis(tmp_path, port)):
        assert statuses(anybody, NOTHING, 2) == [404, 404]
        anybody.app.extensions["rate_limits"]._left_alone_until = 0.0  # the while is over
        assert statuses(anybody, NOTHING, 2) == [404, 429]


def test_without_redis_the_api_serves_and_checks_no_password(
    limited: Callable[..., Flask], user: Caller, conn: DictConnection
) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    app = limited(redis_url=away, rate_limit_anonymous=1, rate_limit_token=1, rate_limit_sign_in=1)
    app.config["JWT_SECRET_KEY"] = user.app.config["JWT_SECRET_KEY"]
    login = {"username": user.user["username"], "password": PASSWORD}

    assert statuses(Caller(app, user.access_token), "/v0/me", 3) == [200] * 3
    assert statuses(Caller(app), NOTHING, 3) == [404] * 3
    refused = Caller(app).post("/v0/sessions", login)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert Caller(app).get("/v0/me", auth=tuple(login.values())).status_code == 503
    set_role(conn, user.user["id"], "admin")
    refused = Caller(app, user.access_token).get("/v0/admin/failed_mails")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
