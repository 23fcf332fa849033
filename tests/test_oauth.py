"""OAuth2 from end to end: requests-oauthlib is the application, and its tokens do what they should and no more."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from caller import Caller
from oauth_client import CALLBACK, Browser, Platform, application, authorize, refresh, register, works
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

from sql import DictConnection

pytestmark = pytest.mark.usefixtures("plain_http")


@pytest.mark.parametrize("confidential", [True, False])
def test_an_application_acts_for_the_user_who_agreed(
    platform: Platform, maker: Caller, someone: Caller, confidential: bool
) -> None:
    made = register(maker, confidential=confidential)

    session = authorize(platform, made, someone, ["account"])

    assert session.get(f"{platform.url}/v0/me").json()["username"] == someone.user["username"]
    assert session.token["scope"] == ["account"]
    assert session.post(f"{platform.url}/v0/devices", json={"name": "x"}).status_code == 403, "it has no devices:write"


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


@pytest.mark.parametrize("endpoint", ["token", "revocation", "introspection"])
@pytest.mark.parametrize("client", ["\xe9", "%00", "nobody"])
def test_credentials_that_nobody_has_are_no_error_of_ours(platform: Platform, endpoint: str, client: str) -> None:
    fields = {"grant_type": "client_credentials", "token": "x"}

    answer = requests.post(platform.endpoint(endpoint), fields, auth=(client, "secret"), timeout=10)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
