"""Sessions and private tokens: what they open, and that nothing opens once they have ended."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from caller import PASSWORD, Caller, set_role
from flask import Flask

from app.clients import program
from app.scopes import SCOPES
from sql import DictConnection


def sign_in(user: Caller) -> dict[str, str]:
    """Sign in once more and return the new session's tokens."""
    answer = user.post(
        "/v0/sessions", {"username": user.user["username"], "password": PASSWORD}, headers={"Authorization": ""}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def refresh(anybody: Caller, token: str) -> tuple[int, dict[str, str]]:
    answer = anybody.post("/v0/sessions/refresh", {"refresh_token": token})
    return answer.status_code, answer.json


def opens(app: Flask, token: str) -> bool:
    """Whether a bearer token is let in."""
    status = Caller(app, token).get("/v0/me").status_code
    assert status in (200, 401)
    return status == 200


@pytest.mark.parametrize("login", ["username", "email"])
def test_sign_in_takes_the_username_or_the_address_in_any_case(user: Caller, app: Flask, login: str) -> None:
    answer = user.post("/v0/sessions", {"username": user.user[login].upper(), "password": PASSWORD})

    assert opens(app, answer.json["access_token"])


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(user: Caller, anybody: Caller) -> None:
    wrong = anybody.post("/v0/sessions", {"username": user.user["username"], "password": "wrong"})
    unknown = anybody.post("/v0/sessions", {"username": "nobody-of-that-name", "password": "wrong"})

    assert (wrong.status_code, wrong.json) == (422, unknown.json)


def test_http_basic_opens_what_a_session_does(user: Caller, anybody: Caller) -> None:
    answer = anybody.get("/v0/me", auth=(user.user["username"], PASSWORD))

    assert answer.json["username"] == user.user["username"]


def test_a_wrong_password_is_refused_even_where_nobody_needs_one(user: Caller, anybody: Caller) -> None:
    device = user.register_device()

    answer = anybody.get(f"/v0/devices/{device['id']}", auth=(user.user["username"], "wrong"))

    assert (answer.status_code, answer.json["id"]) == (401, "unauthorized")


def test_no_answer_lets_a_browser_ask_for_a_password_to_keep(anybody: Caller) -> None:
    assert anybody.get("/v0/me").headers["WWW-Authenticate"].startswith("Bearer")


def test_a_refreshed_session_has_a_new_access_token_and_a_new_refresh_token(user: Caller, app: Flask) -> None:
    first = sign_in(user)

    status, second = refresh(user, first["refresh_token"])

    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert opens(app, second["access_token"])


def test_a_refresh_token_used_twice_ends_the_whole_session(user: Caller, app: Flask) -> None:
    first = sign_in(user)
    _, second = refresh(user, first["refresh_token"])

    assert refresh(user, first["refresh_token"])[0] == 401
    assert refresh(user, second["refresh_token"])[0] == 401
    assert not opens(app, second["access_token"])


@pytest.mark.parametrize("token", ["", "x", "not-a-uuid.secret", "0e3a9a5c-3f6e-4f0e-9d0a-3d6a9c1f2b3e.secret"])
def test_what_is_no_refresh_token_refreshes_nothing(anybody: Caller, token: str) -> None:
    assert refresh(anybody, token)[0] == 401


def test_signing_out_ends_this_session_and_no_other(user: Caller, app: Flask) -> None:
    gone, kept = sign_in(user), sign_in(user)

    assert Caller(app, gone["access_token"]).delete("/v0/sessions").status_code == 200

    assert not opens(app, gone["access_token"])
    assert refresh(user, gone["refresh_token"])[0] == 401
    assert opens(app, kept["access_token"])


def test_a_user_sees_who_is_signed_in_and_puts_them_out(
    user: Caller, app: Flask, new_user: Callable[..., Caller]
) -> None:
    other = sign_in(user)

    shown = user.get("/v0/sessions").json
    [theirs] = [session for session in shown if not session["current"]]

    assert [session["current"] for session in shown] == [False, True]
    assert (theirs["application"], theirs["scopes"]) == (None, list(SCOPES))
    assert new_user().delete(f"/v0/sessions/{theirs['id']}").status_code == 404
    assert opens(app, other["access_token"])
    assert user.delete(f"/v0/sessions/{theirs['id']}").status_code == 200
    assert not opens(app, other["access_token"])
    assert [session["current"] for session in user.get("/v0/sessions").json] == [True]


def browsing(user_agent: str, address: str) -> dict[str, Any]:
    return {"headers": {"User-Agent": user_agent}, "environ_overrides": {"REMOTE_ADDR": address}}


def test_a_session_is_known_by_its_program_and_network_and_what_refreshed_it(
    user: Caller, conn: DictConnection
) -> None:
    login = {"username": user.user["username"], "password": PASSWORD}
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    begun = user.post("/v0/sessions", login, **browsing(firefox, "203.0.113.77")).json

    def newest() -> tuple[str, str]:
        session = user.get("/v0/sessions").json[0]
        return session["client"], session["network"]

    assert newest() == ("Firefox on Linux", "203.0.113.0/24")
    token = {"refresh_token": begun["refresh_token"]}
    user.post("/v0/sessions/refresh", token, **browsing("curl/8.5.0", "2001:db8:7:8::9"))
    assert newest() == ("curl", "2001:db8:7::/48")
    kept = conn.execute("SELECT s::text FROM sessions AS s WHERE user_id = %s", [user.user["id"]]).fetchall()
    assert not re.search(r"203\.0\.113\.77|2001:db8:7:8|8\.5\.0", str(kept))


@pytest.mark.parametrize(
    ("user_agent", "known_as"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 Safari/605.1", "Safari on macOS"),
        ("Mozilla/5.0 Firefox/140.0", "Firefox"),
        ("python-requests/2.32.3", "python-requests"),
        ("x" * 1000, "x" * 40),
        ("<script>", None),
        ("", None),
    ],
)
def test_programs_have_the_names_that_people_know_them_by(user_agent: str, known_as: str | None) -> None:
    assert program(user_agent) == known_as


def test_of_many_refreshing_at_once_with_one_token_one_gets_through(user: Caller, app: Flask) -> None:
    """And the others end the session: its token was in more than one hand."""
    token = sign_in(user)["refresh_token"]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refresh(Caller(app), token), range(8)))

    winners = [answer for status, answer in answers if status == 200]
    assert len(winners) == 1
    assert refresh(user, winners[0]["refresh_token"])[0] == 401


def test_an_expired_access_token_is_refused(user: Caller, app: Flask) -> None:
    session = sign_in(user)
    claims = jwt.decode(session["access_token"], app.config["JWT_SECRET_KEY"], algorithms=["HS256"])
    claims["exp"] = datetime.now(UTC) - timedelta(seconds=1)

    assert not opens(app, jwt.encode(claims, app.config["JWT_SECRET_KEY"], algorithm="HS256"))


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é", "almanac_", "almanac_\xff", "x" * 5000, "{}", "null"])
def test_what_is_no_token_is_refused(anybody: Caller, token: str) -> None:
    answer = anybody.get("/v0/me", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json["id"]) == (401, "unauthorized")


@pytest.mark.parametrize("key", ["", "another secret of more than 32 characters"])
def test_an_access_token_that_we_did_not_sign_is_refused(user: Caller, app: Flask, key: str) -> None:
    claims = jwt.decode(sign_in(user)["access_token"], app.config["JWT_SECRET_KEY"], algorithms=["HS256"])

    assert not opens(app, jwt.encode(claims, key, algorithm="HS256" if key else "none"))


def make_token(user: Caller, **fields: object) -> dict[str, object]:
    answer = user.post("/v0/me/tokens", {"name": "night job", "scopes": ["account"], **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_a_private_token_is_shown_once_and_kept_as_a_hash(user: Caller, app: Flask, conn: DictConnection) -> None:
    made = make_token(user)

    assert opens(app, str(made["token"]))
    assert str(made["token"]) not in user.get("/v0/me/tokens").text
    row = conn.execute("SELECT private_tokens::text AS text FROM private_tokens WHERE id = %s", [made["id"]]).fetchone()
    assert row is not None
    assert str(made["token"]).removeprefix("almanac_") not in row["text"]


def test_the_list_of_private_tokens_tells_when_each_was_used(user: Caller, app: Flask) -> None:
    made = make_token(user)
    [unused] = user.get("/v0/me/tokens").json

    opens(app, str(made["token"]))

    [used] = user.get("/v0/me/tokens").json
    assert unused["last_used_at"] is None
    assert used == {**unused, "last_used_at": used["last_used_at"]}
    assert used["last_used_at"] is not None


@pytest.mark.parametrize("path", ["/v0/me/tokens", "/v0/sessions", "/v0/applications"])
def test_what_somebody_lets_in_is_listed_a_page_at_a_time(user: Caller, path: str) -> None:
    for name in ("first", "second", "third"):
        make_token(user, name=name)
        user.post("/v0/applications", {"name": name, "scopes": ["account"], "redirect_uris": ["https://example.org"]})
    while len(user.get("/v0/sessions").json) < 3:
        sign_in(user)
    whole = user.get(path)

    pages = [user.get(path, query_string={"per_page": 2, "page": page}) for page in (1, 2, 3)]

    assert len(whole.json) == 3
    assert [thing for page in pages for thing in page.json] == whole.json
    assert [len(page.json) for page in pages] == [2, 1, 0]
    assert {(page.headers["Total"], page.headers["Per-Page"]) for page in pages} == {("3", "2")}
    assert 'page=2>; rel="next"' in pages[0].headers["Link"]


def test_a_revoked_token_is_refused(user: Caller, app: Flask) -> None:
    made = make_token(user)

    assert user.delete(f"/v0/me/tokens/{made['id']}").status_code == 200

    assert not opens(app, str(made["token"]))
    assert user.get("/v0/me/tokens").json == []


def test_nobody_revokes_anothers_token(user: Caller, new_user: Callable[..., Caller], app: Flask) -> None:
    made = make_token(user)

    assert new_user().delete(f"/v0/me/tokens/{made['id']}").status_code == 404
    assert opens(app, str(made["token"]))


def test_an_expired_private_token_is_refused(user: Caller, app: Flask, conn: DictConnection) -> None:
    made = make_token(user, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert opens(app, str(made["token"]))

    conn.execute("UPDATE private_tokens SET expires_at = now() WHERE id = %s", [made["id"]])

    assert not opens(app, str(made["token"]))


def test_an_expiry_may_be_a_day(user: Caller) -> None:
    assert make_token(user, expires_at="2100-01-01")["expires_at"] == "2100-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"name": ""},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"expires_at": "soon"},
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(user: Caller, fields: dict[str, object]) -> None:
    answer = user.post("/v0/me/tokens", {"name": "night job", "scopes": ["account"], **fields})

    assert answer.status_code == 422
    assert [name.partition(".")[0] for name in answer.json["errors"]] == list(fields)


def test_a_token_is_good_for_its_scopes_alone(user: Caller, app: Flask) -> None:
    reader = Caller(app, str(make_token(user, scopes=["devices:read"])["token"]))
    device = user.register_device(is_private=True)

    assert reader.get(f"/v0/devices/{device['id']}").status_code == 200
    refused = reader.post("/v0/devices", {"name": "Balcony"})
    assert (refused.status_code, refused.json["id"]) == (403, "forbidden")
    assert "devices:write" in refused.json["message"]
    assert 'error="insufficient_scope", scope="devices:write"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v0/me/tokens", {"name": "for ever", "scopes": ["account"]}),
        ("/v0/applications", {"name": "greedy", "scopes": ["devices:write"]}),
        ("/v0/applications/{application}/secret", {}),
        ("/v0/me/forwarding", {}),
        ("/v0/webhooks", {"url": "https://example.org/almanac"}),
    ],
)
def test_no_token_makes_what_would_outlive_it_or_be_good_for_more(
    user: Caller, app: Flask, conn: DictConnection, path: str, fields: dict[str, object]
) -> None:
    """What an application could make for itself, its user could not end by putting it out."""
    set_role(conn, user.user["id"], "researcher")
    made = user.post("/v0/applications", {"name": "map", "scopes": ["devices:write"]}).json
    holder = Caller(app, str(make_token(user, scopes=list(SCOPES))["token"]))

    assert holder.post(path.format(application=made["id"]), fields).status_code == 403
    assert user.post(path.format(application=made["id"]), fields).status_code < 300


def test_a_token_for_devices_shows_no_address(user: Caller, app: Flask) -> None:
    device = user.register_device()
    reader = Caller(app, str(make_token(user, scopes=["devices:read"])["token"]))

    assert reader.get(f"/v0/users/{user.user['username']}").json["email"] == "[FILTERED]"
    assert reader.get(f"/v0/users?q[id_eq]={user.user['id']}").json[0]["email"] == "[FILTERED]"
    assert "email" not in reader.get(f"/v1/devices/{device['id']}").json["owner"]


def test_a_token_for_the_account_shows_no_private_device_and_no_exact_place(user: Caller, app: Flask) -> None:
    seen = user.register_device(latitude=41.39699, longitude=2.19456, precise_location=False)
    user.register_device(is_private=True)
    keeper = Caller(app, str(make_token(user, scopes=["account"])["token"]))

    shown = keeper.get("/v0/me").json

    assert shown["email"] == user.user["email"]
    assert [(device["id"], "location" in device) for device in shown["devices"]] == [(seen["id"], False)]


def test_a_token_for_devices_opens_no_readings_through_a_preview(user: Caller, app: Flask) -> None:
    path = f"/v0/devices/{user.register_device(is_private=True, kit_id=26)['id']}/calibrations/preview"
    fields = {"sensor_id": 55, "equation": "raw"}

    for scope, status in (("devices:read", 403), ("readings:read", 200)):
        assert Caller(app, str(make_token(user, scopes=[scope])["token"])).post(path, fields).status_code == status


def test_a_token_in_an_address_is_taken_for_sending_readings_only(user: Caller, anybody: Caller) -> None:
    """As smartcitizen-node sends it: by the sensor's key, with milliseconds."""
    token = make_token(user, scopes=["readings:write", "account"])["token"]
    path = f"/v0/devices/{user.register_device()['id']}/readings?access_token={token}"
    readings = {"data": [{"recorded_at": "2026-01-15T08:30:00.123Z", "sensors": [{"id": "t", "value": 21.4}]}]}

    assert anybody.post(path, readings).json["stored"] == 1
    assert anybody.get(f"/v0/me?access_token={token}").status_code == 401


def test_a_token_in_an_address_opens_no_history(user: Caller, anybody: Caller) -> None:
    token = make_token(user, scopes=["readings:read"])["token"]
    path = f"/v0/devices/{user.register_device(is_private=True)['id']}/readings?sensor_id=55&rollup=1h"

    assert anybody.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert anybody.get(f"{path}&access_token={token}").status_code == 403
