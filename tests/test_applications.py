"""Applications that act for users through OAuth2: what may be registered, and by whom it is seen."""

from collections.abc import Callable

import pytest
from caller import Caller
from oauth_client import CALLBACK, register


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
