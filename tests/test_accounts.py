"""Accounts: made, changed, closed and brought back; a forgotten password; who may do that to whom."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from caller import PASSWORD, Caller
from flask import Flask
from mail_server import Mailbox

from app import passwords
from app.jobs.accounts import purge_accounts
from app.scopes import SCOPES
from sql import DictConnection


def signs_in(anybody: Caller, username: str, password: str) -> bool:
    status = anybody.post("/v0/sessions", {"username": username, "password": password}).status_code
    assert status in (200, 422)
    return status == 200


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "8"),
        ("seven77", "8"),
        ("ada.lovelace", "username"),
        ("My-Ada.Lovelace-1", "username"),
        ("countess", "e-mail"),
        ("countess!!", "e-mail"),
        ("countess@example.org", "e-mail"),
    ],
)
def test_a_password_that_is_short_or_like_the_name_is_refused(anybody: Caller, password: str, reason: str) -> None:
    fields = {"username": "ada.lovelace", "email": "Countess@example.org", "password": password}

    answer = anybody.post("/v0/users", fields)

    assert answer.status_code == 422
    assert reason in answer.json["errors"]["password"][0]


def test_an_account_without_a_password_is_not_made(anybody: Caller) -> None:
    answer = anybody.post("/v0/users", {"username": "ada", "email": "ada@example.org"})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["password"])


@pytest.mark.parametrize(
    "name", ["ab", "x" * 31, "a@b", "with blank", "a/b", "12345", "admin", "Admin", "ada\n", "ad\u200ba"]
)
def test_a_username_that_would_not_do_is_refused(anybody: Caller, name: str) -> None:
    answer = anybody.post("/v0/users", {"username": name, "email": "nobody@example.org", "password": PASSWORD})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["username"])


@pytest.mark.parametrize("field", ["username", "email"])
def test_a_name_or_address_is_taken_in_any_case(user: Caller, anybody: Caller, field: str) -> None:
    fields = {"username": "somebody.else", "email": "somebody.else@example.org", "password": PASSWORD}

    answer = anybody.post("/v0/users", {**fields, field: user.user[field].upper()})

    assert (answer.status_code, answer.json["errors"]) == (422, {field: ["is taken"]})


def test_signing_up_brings_a_mail(mailbox: Mailbox, work: Callable[[], None], new_user: Callable[..., Caller]) -> None:
    user = new_user()
    work()

    assert [message["To"] for message in mailbox.messages] == [user.user["email"]]
    assert user.user["username"] in mailbox.text()


def test_only_an_admin_gives_a_role(user: Caller, admin: Caller, anybody: Caller) -> None:
    fields = {"username": "would.be.admin", "email": "w@example.org", "password": PASSWORD, "role": "admin"}

    assert anybody.post("/v0/users", fields).json["role"] == "citizen"
    assert user.patch("/v0/me", {"role": "admin"}).json["role"] == "citizen"
    assert user.patch("/v0/me", {"role_mask": 7}).json["role"] == "citizen"
    assert admin.patch(f"/v0/users/{user.user['id']}", {"role_mask": 4}).json["role"] == "researcher"


def test_a_password_is_hashed_anew_when_its_hash_is_outdated(
    user: Caller,
    anybody: Caller,
    conn: DictConnection,
    real_hasher: PasswordHasher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kept() -> str:
        row = conn.execute("SELECT password_hash FROM users WHERE id = %s", [user.user["id"]]).fetchone()
        assert row is not None
        return str(row["password_hash"])

    before = kept()
    monkeypatch.setattr(passwords, "_HASHER", real_hasher)

    assert signs_in(anybody, user.user["username"], PASSWORD)

    assert "m=8,t=1" in before
    assert "m=19456,t=2" in kept()
    assert signs_in(anybody, user.user["username"], PASSWORD)


def test_as_much_is_hashed_for_an_unknown_user_as_for_a_known_one(
    new_user: Callable[..., Caller],
    anybody: Caller,
    real_hasher: PasswordHasher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes = []

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            hashes.append(password_hash.rsplit("$", 2)[0])
            return real_hasher.verify(password_hash, password)

    monkeypatch.setattr(passwords, "_HASHER", real_hasher)
    user = new_user()
    monkeypatch.setattr(passwords, "_HASHER", Counting())

    assert not signs_in(anybody, user.user["username"], "wrong")
    assert not signs_in(anybody, "nobody-of-that-name", "wrong")
    anybody.get("/v0/me", auth=("nobody-of-that-name", "wrong"))

    assert hashes == ["$argon2id$v=19$m=19456,t=2,p=1"] * 3


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_change_leaves_alone_what_is_not_sent(user: Caller, method: str) -> None:
    before = user.get("/v0/me").json

    after = getattr(user, method)("/v0/me", {"city": "Vic", "country_code": "es", "unknown": 1}).json

    assert after["location"] == {**before["location"], **after["location"], "city": "Vic", "country_code": "ES"}
    assert {**after, "location": 0, "updated_at": 0} == {**before, "location": 0, "updated_at": 0}


def test_a_new_password_signs_others_out_and_not_the_one_who_chose_it(
    user: Caller, app: Flask, anybody: Caller
) -> None:
    login = {"username": user.user["username"], "password": PASSWORD}
    other = Caller(app, anybody.post("/v0/sessions", login).json["access_token"])

    assert user.patch("/v0/me", {"password": "another battery"}).status_code == 200

    assert other.get("/v0/me").status_code == 401
    assert user.get("/v0/me").status_code == 200
    assert not signs_in(anybody, user.user["username"], PASSWORD)
    assert signs_in(anybody, user.user["username"], "another battery")


def test_the_old_address_hears_of_a_change_that_a_thief_would_make(
    user: Caller, mailbox: Mailbox, work: Callable[[], None]
) -> None:
    fields = {"email": f"new-{user.user['email']}", "password": "another battery", "city": "Vic"}

    assert user.patch("/v0/me", fields).status_code == 200
    assert user.patch("/v0/me", {"email": fields["email"], "city": "Berga"}).status_code == 200
    work()

    told = sorted((message["To"], message["Subject"]) for message in mailbox.messages)
    assert told == [
        (user.user["email"], "The e-mail address of your account was changed"),
        (user.user["email"], "The password of your account was changed"),
    ]


def test_a_change_that_is_refused_changes_nothing(user: Caller, new_user: Callable[..., Caller]) -> None:
    taken = new_user().user["username"]
    before = user.get("/v0/me").json

    assert user.patch("/v0/me", {"city": "Vic", "username": taken}).status_code == 422
    assert user.patch("/v0/me", {"city": "Vic", "password": user.user["username"]}).status_code == 422

    assert user.get("/v0/me").json == before


@pytest.mark.parametrize("by", ["id", "username"])
def test_an_account_is_its_users_and_the_admins_to_change(
    user: Caller, admin: Caller, new_user: Callable[..., Caller], anybody: Caller, by: str
) -> None:
    path = f"/v0/users/{user.user[by]}"

    assert anybody.patch(path, {"city": "Vic"}).status_code == 401
    assert new_user().patch(path, {"city": "Vic"}).status_code == 403
    assert user.patch(path, {"city": "Vic"}).status_code == 200
    assert admin.put(path, {"city": "Berga"}).json["location"]["city"] == "Berga"


@pytest.mark.parametrize("fields", [{"password": "another battery"}, {"email": "thief@example.org"}, None])
def test_a_token_cannot_take_the_account_over(user: Caller, app: Flask, fields: dict[str, str] | None) -> None:
    made = user.post("/v0/me/tokens", {"name": "t", "scopes": list(SCOPES)}).json
    program = Caller(app, made["token"])

    answer = program.patch("/v0/me", fields) if fields else program.delete("/v0/me")

    assert answer.status_code == 403
    assert program.patch("/v0/me", {"city": "Vic", "email": user.user["email"]}).status_code == 200
    assert user.get("/v0/me").json["email"] == user.user["email"]


def test_a_closed_account_opens_nothing_and_comes_back_with_what_went_with_it(
    user: Caller, admin: Caller, anybody: Caller
) -> None:
    device, older = user.register_device(), user.register_device()
    token = user.post("/v0/me/tokens", {"name": "t", "scopes": ["account"]}).json["token"]

    assert user.delete("/v0/me").json == {"message": "OK"}

    assert user.get("/v0/me").status_code == 401
    assert anybody.get("/v0/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert not signs_in(anybody, user.user["username"], PASSWORD)
    assert anybody.get(f"/v0/devices/{device['id']}").status_code == 404

    assert admin.post(f"/v0/users/{user.user['username']}/restore").json["id"] == user.user["id"]

    assert signs_in(anybody, user.user["username"], PASSWORD)
    assert anybody.get(f"/v0/devices/{device['id']}").status_code == 200
    assert anybody.get(f"/v0/devices/{older['id']}").status_code == 200
    assert user.get("/v0/me").status_code == 401, "a session that has ended stays so"


def test_a_device_comes_back_without_the_mac_address_that_another_has_by_then(
    user: Caller, admin: Caller, conn: DictConnection, new_user: Callable[..., Caller]
) -> None:
    mac = "5e:cf:7f:00:00:01"
    lost, kept = user.register_device(), new_user().register_device()
    conn.execute("UPDATE devices SET mac_address = %s WHERE id = %s", [mac, lost["id"]])
    user.delete("/v0/me")
    conn.execute("UPDATE devices SET mac_address = %s WHERE id = %s", [mac, kept["id"]])

    assert admin.post(f"/v0/users/{user.user['id']}/restore").status_code == 200

    rows = conn.execute("SELECT mac_address FROM devices WHERE id = ANY(%s) ORDER BY id", [[lost["id"], kept["id"]]])
    assert [row["mac_address"] for row in rows] == [None, mac]


def test_only_an_admin_restores_and_only_what_is_closed(user: Caller, admin: Caller, app: Flask) -> None:
    path = f"/v0/users/{user.user['id']}/restore"

    assert Caller(app).post(path).status_code == 401
    assert user.post(path).status_code == 403
    assert admin.post(path).status_code == 404


def test_an_account_is_purged_after_thirty_days_in_the_trash(
    new_user: Callable[..., Caller], admin: Caller, conn: DictConnection, worker_env: dict[str, str]
) -> None:
    fresh, old, owner = new_user(), new_user(), new_user()
    owner.register_device()
    for caller, days in ((fresh, 29), (old, 31), (owner, 31)):
        caller.delete("/v0/me")
        conn.execute(
            "UPDATE users SET archived_at = now() - %s * interval '1 day' WHERE id = %s", [days, caller.user["id"]]
        )

    purge_accounts()

    restored = {
        name: admin.post(f"/v0/users/{caller.user['id']}/restore").status_code
        for name, caller in (("fresh", fresh), ("old", old), ("owner of a device", owner))
    }
    assert restored == {"fresh": 200, "old": 404, "owner of a device": 200}


class Reset:
    """Somebody who has forgotten their password."""

    def __init__(self, caller: Caller, mailbox: Mailbox, work: Callable[[], None]) -> None:
        self.caller, self.mailbox, self.work = caller, mailbox, work

    def ask(self, **who: str) -> Any:
        answer = self.caller.post("/v0/password_resets", who)
        self.work()
        return answer.status_code, answer.json

    def path(self) -> str:
        """Where the link of the newest mail leads, in the API."""
        link = re.search(r"http://\S+/ui/password_reset/(\S+)", self.mailbox.text())
        assert link is not None
        return f"/v0/password_resets/{link[1]}"


@pytest.fixture
def reset(anybody: Caller, mailbox: Mailbox, work: Callable[[], None]) -> Reset:
    return Reset(anybody, mailbox, work)


@pytest.mark.parametrize(
    ("field", "value"), [("email", "email"), ("username", "username"), ("email_or_username", "email")]
)
def test_a_forgotten_password_is_replaced_through_a_mailed_link(
    user: Caller, anybody: Caller, reset: Reset, field: str, value: str
) -> None:
    assert reset.ask(**{field: user.user[value]})[0] == 200
    path = reset.path()
    shown = anybody.get(path).json
    used = anybody.patch(path, {"password": "another battery"})

    assert (shown["username"], shown["email"]) == (user.user["username"], "[FILTERED]")
    assert used.status_code == 200
    assert signs_in(anybody, user.user["username"], "another battery")
    assert user.get("/v0/me").status_code == 401, "whoever was signed in is signed out"


def test_the_link_leads_to_a_page_where_a_person_chooses(user: Caller, anybody: Caller, reset: Reset) -> None:
    reset.ask(username=user.user["username"])
    page = reset.path().replace("/v0/password_resets/", "/ui/password_reset/")

    shown = anybody.get(page)
    short = anybody.post(page, data={"password": "short"})
    alike = anybody.post(page, data={"password": user.user["username"] + "!!!"})
    done = anybody.post(page, data={"password": "another battery"})

    assert (shown.status_code, short.status_code, alike.status_code, done.status_code) == (200, 422, 422, 200)
    assert user.user["username"] in shown.text
    assert "8 to 200 characters" in short.text
    assert "resembles your username" in alike.text
    assert signs_in(anybody, user.user["username"], "another battery")
    assert anybody.get(page).status_code == 404


def test_a_reset_leaves_private_tokens_and_says_so(
    user: Caller, anybody: Caller, reset: Reset, mailbox: Mailbox
) -> None:
    """A new password must not stop programs; whoever fears a thief is told where to look."""
    token = user.post("/v0/me/tokens", {"name": "night job", "scopes": ["account"]}).json["token"]
    reset.ask(username=user.user["username"])

    anybody.patch(reset.path(), {"password": "another battery"})
    reset.work()

    assert Caller(user.app, token).get("/v0/me").status_code == 200
    assert "/explore#/tokens" in mailbox.text()


def test_the_link_works_once(user: Caller, anybody: Caller, reset: Reset) -> None:
    reset.ask(username=user.user["username"])
    first = reset.path()
    reset.ask(username=user.user["username"])
    second = reset.path()

    assert anybody.patch(first, {"password": "too like " + user.user["username"]}).status_code == 422
    assert anybody.patch(first, {"password": "another battery"}).status_code == 200

    assert anybody.patch(first, {"password": "yet another one"}).status_code == 404
    assert anybody.get(second).status_code == 404


def test_the_link_works_for_an_hour(user: Caller, anybody: Caller, reset: Reset, conn: DictConnection) -> None:
    reset.ask(username=user.user["username"])
    assert anybody.get(reset.path()).status_code == 200

    conn.execute("UPDATE password_resets SET expires_at = expires_at - interval '1 hour'")

    assert anybody.get(reset.path()).status_code == 404
    assert anybody.put(reset.path(), {"password": "another battery"}).status_code == 404


def test_the_answer_does_not_tell_whether_there_is_an_account(user: Caller, reset: Reset, mailbox: Mailbox) -> None:
    unknown = reset.ask(email="nobody-of-that-name@example.org")

    assert mailbox.messages == []
    assert reset.ask(email=user.user["email"]) == unknown


def test_a_reset_for_nobody_says_what_is_missing(anybody: Caller) -> None:
    answer = anybody.post("/v0/password_resets", {})

    assert answer.status_code == 422
    assert "email" in answer.json["message"]
