"""Webhooks: alerts as signed requests to a real HTTP server, and to none of our own network."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from caller import Caller
from mail_server import Mailbox
from receiver import Receiver
from test_alerts import NOON, hear, publish, watched

from app.alerts import check_silence
from app.jobs import webhooks as jobs
from app.webhooks import sending
from scripts.tls import make_certificates
from sql import DictConnection

Work = Callable[[], None]

# What only an attacker would name; the last ones hold an IPv4 address in an IPv6 one.
OURS = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::7f00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one way to let anything be sent to this machine: to replace the function that looks at addresses."""
    monkeypatch.setattr(sending, "is_public", lambda address: address in ("127.0.0.1", "::1"))


@pytest.fixture
def hearing(conn: DictConnection) -> None:
    conn.execute("DELETE FROM receivers")
    conn.execute("INSERT INTO receivers VALUES ('ingestor', %s, %s)", [NOON - timedelta(days=99), NOON])


@pytest.fixture(autouse=True)
def no_other(conn: DictConnection) -> None:
    conn.execute("DELETE FROM webhooks")


def make(user: Caller, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    answer = user.post("/v0/webhooks", {"url": receiver.url, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def try_out(user: Caller, webhook: dict[str, Any], work: Work) -> dict[str, Any]:
    """Send a test, and return what became of it."""
    queued = user.post(f"/v0/webhooks/{webhook['id']}/test")
    assert queued.status_code == 202, queued.text
    work()
    (delivery, *_) = user.get(f"/v0/webhooks/{webhook['id']}/deliveries").json
    assert delivery["id"] == queued.json["id"]
    return dict(delivery)


def let_time_pass(conn: DictConnection) -> None:
    conn.execute("UPDATE webhooks SET due_at = now() WHERE due_at > now()")


@pytest.mark.usefixtures("hearing", "loopback_is_public")
def test_an_alert_arrives_signed_when_it_begins_and_when_it_ends(
    user: Caller, conn: DictConnection, work: Work, receiver: Receiver
) -> None:
    webhook, device_id = make(user, receiver), watched(user, name="Roof")
    publish(conn, device_id, NOON)
    back = NOON + timedelta(hours=5)
    for hour in (2, 3):
        hear(conn, NOON + timedelta(hours=hour))
        check_silence(conn, NOON + timedelta(hours=hour))
    publish(conn, device_id, back)
    hear(conn, back)
    check_silence(conn, back)

    assert jobs.deliver() == {"delivered": 2, "failed": 0}

    began, ended = receiver.requests
    assert began.json["type"] == "stopped_publishing.began"
    assert began.json["data"]["device"] == {"id": device_id, "name": "Roof"}
    assert began.json["data"]["message"] == "Roof has published nothing since 2030-01-15 12:00 UTC."
    assert (ended.json["type"], ended.json["data"]["ended_at"]) == ("stopped_publishing.ended", "2030-01-15T17:00:00Z")
    assert began.headers["webhook-id"] != ended.headers["webhook-id"]
    assert all(request.is_signed_with(webhook["secret"]) for request in receiver.requests)
    listed = user.get(f"/v0/webhooks/{webhook['id']}/deliveries").json
    assert [(one["kind"], one["phase"], one["state"], one["status"]) for one in listed] == [
        ("stopped_publishing", "ended", "delivered", 204),
        ("stopped_publishing", "began", "delivered", 204),
    ]


@pytest.mark.usefixtures("hearing", "loopback_is_public")
def test_a_webhook_is_told_of_its_own_kinds_and_of_its_owners_devices_alone(
    user: Caller, new_user: Callable[..., Caller], conn: DictConnection, work: Work, receiver: Receiver
) -> None:
    make(user, receiver, kinds=["low_battery"])
    make(new_user(), receiver)
    publish(conn, watched(user), NOON)
    hear(conn, NOON + timedelta(hours=2))
    check_silence(conn, NOON + timedelta(hours=2))

    jobs.deliver()

    assert receiver.requests == []


@pytest.mark.usefixtures("loopback_is_public")
def test_a_test_arrives_and_a_changed_body_or_secret_does_not_fit_its_signature(
    user: Caller, work: Work, receiver: Receiver
) -> None:
    webhook = make(user, receiver)

    assert try_out(user, webhook, work)["state"] == "delivered"

    (request,) = receiver.requests
    assert request.json["type"] == "test"
    assert request.is_signed_with(webhook["secret"])
    assert abs(time.time() - int(request.headers["webhook-timestamp"])) < 300  # receivers take no older ones
    assert not request._replace(body=request.body + b" ").is_signed_with(webhook["secret"])
    assert not request.is_signed_with("whsec_" + "A" * 44)


@pytest.mark.usefixtures("loopback_is_public")
def test_a_secret_is_shown_once_and_the_one_before_signs_too_for_a_day(
    user: Caller, conn: DictConnection, work: Work, receiver: Receiver
) -> None:
    webhook = make(user, receiver)
    assert webhook["secret"] not in user.get("/v0/webhooks").text + user.get(f"/v0/webhooks/{webhook['id']}").text
    secret = user.post(f"/v0/webhooks/{webhook['id']}/secret").json["secret"]

    try_out(user, webhook, work)
    conn.execute("UPDATE webhooks SET old_secret_until = now()")
    try_out(user, webhook, work)

    during, after = receiver.requests
    assert during.is_signed_with(secret)
    assert during.is_signed_with(webhook["secret"])
    assert after.is_signed_with(secret)
    assert not after.is_signed_with(webhook["secret"])


@pytest.mark.usefixtures("loopback_is_public")
def test_what_is_not_taken_is_tried_again_with_growing_pauses_under_the_same_id(
    user: Caller, conn: DictConnection, work: Work, receiver: Receiver
) -> None:
    webhook = make(user, receiver)
    receiver.status = 500
    pauses = []
    delivery = try_out(user, webhook, work)
    assert (delivery["state"], delivery["status"], delivery["error"]) == ("pending", 500, "it answered 500")
    for _ in range(3):
        pauses.append(conn.execute("SELECT extract(epoch FROM due_at - now())::float8 AS s FROM webhooks").fetchone())
        assert jobs.deliver() == {"delivered": 0, "failed": 0}, "not before its time"
        let_time_pass(conn)
        jobs.deliver()
    receiver.status = 204
    let_time_pass(conn)
    jobs.deliver()

    assert [round(pause["s"] / 60) for pause in pauses if pause] == [1, 5, 30]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len(receiver.requests) == 5
    assert user.get(f"/v0/webhooks/{webhook['id']}").json["failures"] == 0


@pytest.mark.usefixtures("loopback_is_public")
def test_after_repeated_failure_a_webhook_is_switched_off_and_its_owner_told(
    user: Caller, conn: DictConnection, work: Work, receiver: Receiver, mailbox: Mailbox
) -> None:
    webhook = make(user, receiver)
    receiver.status = 503
    try_out(user, webhook, work)
    for _ in range(20):
        let_time_pass(conn)
        jobs.deliver()
    work()

    shown = user.get(f"/v0/webhooks/{webhook['id']}").json
    assert len(receiver.requests) == 1 + len(jobs.PAUSES)
    assert not shown["enabled"]
    assert "8 failures in a row" in shown["disabled_reason"]
    assert [message["To"] for message in mailbox.messages] == [user.user["email"]]
    assert "8 failures in a row, the last: it answered 503" in mailbox.text()
    assert user.post(f"/v0/webhooks/{webhook['id']}/test").status_code == 422

    receiver.status = 204
    assert user.patch(f"/v0/webhooks/{webhook['id']}", {"enabled": True}).json["enabled"]
    assert try_out(user, webhook, work)["state"] == "delivered"


@pytest.mark.usefixtures("loopback_is_public")
def test_a_receiver_that_is_gone_is_told_nothing_more(user: Caller, work: Work, receiver: Receiver) -> None:
    webhook = make(user, receiver)
    receiver.status = 410

    try_out(user, webhook, work)

    assert user.get(f"/v0/webhooks/{webhook['id']}").json["disabled_reason"] == "it answered 410: it is gone"


@pytest.mark.usefixtures("loopback_is_public")
def test_a_webhook_that_is_switched_off_while_it_fails_stays_off(
    user: Caller, work: Work, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = make(user, receiver)
    send = jobs.post

    def post(*given: Any) -> int:
        user.patch(f"/v0/webhooks/{webhook['id']}", {"enabled": False})
        return send(*given)

    monkeypatch.setattr(jobs, "post", post)
    receiver.status = 503

    try_out(user, webhook, work)

    shown = user.get(f"/v0/webhooks/{webhook['id']}").json
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "its owner has switched it off")


@pytest.mark.usefixtures("loopback_is_public", "work")
def test_a_value_beyond_all_measure_is_told_as_any_other(
    user: Caller, conn: DictConnection, receiver: Receiver
) -> None:
    make(user, receiver)
    conn.execute(
        """
        WITH begun AS (
            INSERT INTO alerts (device_id, kind, subject, about, began_at)
            VALUES (%s, 'low_battery', 'b', jsonb_build_object('value', -1e300::double precision), now())
            RETURNING *
        )
        SELECT tell_of_alert(begun::alerts) FROM begun
        """,
        [watched(user, name="Roof")],
    )

    assert jobs.deliver() == {"delivered": 1, "failed": 0}

    (request,) = receiver.requests
    assert request.json["data"]["details"] == {"value": -1e300}


@pytest.mark.usefixtures("hearing", "loopback_is_public", "work")
def test_what_is_sent_again_after_a_transfer_has_the_name_of_before(
    user: Caller, new_user: Callable[..., Caller], conn: DictConnection, receiver: Receiver
) -> None:
    make(user, receiver)
    device_id = watched(user, name="Roof")
    publish(conn, device_id, NOON)
    hear(conn, NOON + timedelta(hours=2))
    check_silence(conn, NOON + timedelta(hours=2))
    receiver.status = 503
    jobs.deliver()
    heir = new_user()
    conn.execute("UPDATE devices SET owner_id = %s, name = 'Secret' WHERE id = %s", [heir.user["id"], device_id])
    let_time_pass(conn)

    jobs.deliver()

    assert [request.json["data"]["device"] for request in receiver.requests] == [{"id": device_id, "name": "Roof"}] * 2
    assert all("Secret" not in request.json["data"]["message"] for request in receiver.requests)


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize(("tried", "state"), [(6, "pending"), (7, "failed")])
def test_what_was_tried_for_two_days_is_given_up_though_the_webhook_takes_other_things(
    user: Caller, work: Work, conn: DictConnection, receiver: Receiver, tried: int, state: str
) -> None:
    webhook = make(user, receiver)
    receiver.status = 503
    user.post(f"/v0/webhooks/{webhook['id']}/test")
    conn.execute("UPDATE webhook_deliveries SET attempts = %s WHERE webhook_id = %s", [tried, webhook["id"]])

    work()

    (delivery,) = user.get(f"/v0/webhooks/{webhook['id']}/deliveries").json
    assert (delivery["state"], delivery["attempts"]) == (state, tried + 1)
    assert user.get(f"/v0/webhooks/{webhook['id']}").json["enabled"]


@pytest.mark.usefixtures("loopback_is_public", "work")
def test_what_has_failed_lets_what_is_newer_go_first(user: Caller, conn: DictConnection, receiver: Receiver) -> None:
    webhook = make(user, receiver)

    def send() -> str:
        queued = user.post(f"/v0/webhooks/{webhook['id']}/test").json["id"]
        let_time_pass(conn)
        jobs.deliver()
        return str(queued)

    receiver.status = 500
    older = send()
    receiver.status = 204
    newer = send()

    sent = [request.headers["webhook-id"] for request in receiver.requests]
    assert sent == [older, newer, older]


@pytest.mark.usefixtures("loopback_is_public", "work")
def test_a_webhook_of_a_closed_account_is_sent_nothing(user: Caller, receiver: Receiver) -> None:
    webhook = make(user, receiver)
    user.post(f"/v0/webhooks/{webhook['id']}/test")
    user.delete("/v0/me")

    jobs.deliver()

    assert receiver.requests == []


def test_webhooks_and_what_they_were_sent_are_listed_to_their_owner_the_newest_first(
    user: Caller, new_user: Callable[..., Caller], receiver: Receiver
) -> None:
    first, second = make(user, receiver), make(user, receiver)
    make(new_user(), receiver)
    sent = [user.post(f"/v0/webhooks/{first['id']}/test").json["id"] for _ in range(3)]
    user.post(f"/v0/webhooks/{second['id']}/test")

    deliveries = user.get(f"/v0/webhooks/{first['id']}/deliveries?per_page=2")

    assert [webhook["id"] for webhook in user.get("/v0/webhooks").json] == [second["id"], first["id"]]
    assert [delivery["id"] for delivery in deliveries.json] == sent[:0:-1]
    assert deliveries.headers["Total"] == "3"


@pytest.mark.usefixtures("loopback_is_public")
def test_an_answer_that_is_no_http_counts_as_a_failure(user: Caller, work: Work, receiver: Receiver) -> None:
    def answer(babbler: socket.socket) -> None:
        caller, _ = babbler.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(b"\0" * 1000 + b"\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as babbler:
        Thread(target=answer, args=[babbler], daemon=True).start()
        webhook = make(user, receiver, url=f"http://localhost:{babbler.getsockname()[1]}/")

        assert try_out(user, webhook, work)["state"] == "pending"

    assert user.get(f"/v0/webhooks/{webhook['id']}").json["failures"] == 1


@pytest.mark.usefixtures("loopback_is_public")
def test_a_redirect_is_not_followed(user: Caller, work: Work, receiver: Receiver) -> None:
    webhook, elsewhere = make(user, receiver), Receiver()
    elsewhere.start()
    receiver.status, receiver.location = 307, elsewhere.url

    delivery = try_out(user, webhook, work)
    elsewhere.stop()

    assert elsewhere.requests == []
    assert delivery["state"] == "pending"
    assert "redirects are not followed" in delivery["error"]


@pytest.mark.parametrize("address", OURS)
def test_no_address_of_our_own_network_is_public(address: str) -> None:
    assert not sending.is_public(address)


def test_addresses_of_the_internet_are_public() -> None:
    assert all(sending.is_public(address) for address in ("93.184.216.34", "2606:4700:4700::1111"))


def test_a_name_that_stands_for_this_machine_is_sent_nothing(user: Caller, work: Work, receiver: Receiver) -> None:
    delivery = try_out(user, make(user, receiver), work)

    assert receiver.requests == []
    assert "is no address of the public internet" in delivery["error"]


@pytest.mark.parametrize("answers", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]])
def test_a_name_with_one_address_of_ours_is_sent_nothing(
    user: Caller, work: Work, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    """As a name server would have it that wants the second address to be tried."""

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in answers]

    webhook = make(user, receiver, url=receiver.url.replace("localhost", "rebinding.example"))
    monkeypatch.setattr("app.webhooks.sending.socket.getaddrinfo", look_up)
    with pytest.raises(sending.SendError, match=r"127\.0\.0\.1"):
        sending.post(webhook["url"], {}, b"")

    assert receiver.requests == []


def test_a_name_server_that_changes_its_answer_gains_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked: list[str] = []
    reached: list[Any] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    class Wire(socket.socket):
        def connect(self, address: Any) -> None:
            reached.append(address[0])
            raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr("app.webhooks.sending.socket.getaddrinfo", look_up)
    monkeypatch.setattr("app.webhooks.sending.socket.socket", Wire)
    with pytest.raises(sending.SendError, match="nobody there"):
        sending.post(receiver.url.replace("localhost", "rebinding.example"), {}, b"")

    assert (asked, reached) == (["rebinding.example"], ["93.184.216.34"])


@pytest.mark.usefixtures("loopback_is_public")
def test_a_receiver_that_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(sending.SendError):
        sending.post(f"http://localhost:{silent.getsockname()[1]}/", {}, b"")


@pytest.mark.usefixtures("loopback_is_public")
def test_over_tls_only_a_receiver_with_a_certificate_that_is_trusted_gets_anything(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificates(tmp_path)
    receiver.speak_tls(tmp_path / "server.pem", tmp_path / "server.key")
    url = receiver.url.replace("http:", "https:")

    with pytest.raises(sending.SendError, match="certificate"):
        sending.post(url, {}, b"{}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    assert 200 <= sending.post(url, {}, b"{}") < 300
    assert [request.body for request in receiver.requests] == [b"{}"]


@pytest.mark.usefixtures("loopback_is_public")
def test_a_receiver_whose_handshake_never_ends_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_S", 0.5)

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")  # of TLS: a handshake message of 16 KB begins
            while True:
                connection.sendall(b"\0")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=drip, args=[server], daemon=True).start()
        started = time.monotonic()
        with pytest.raises(sending.SendError):
            sending.post(f"https://localhost:{server.getsockname()[1]}/", {}, b"")

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://",
        "https://ana:secret@example.org/",
        "http://192.168.1.1/admin",
        "http://[::1]/",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nX: y",
    ],
)
def test_what_is_no_public_address_is_refused(user: Caller, url: str) -> None:
    answer = user.post("/v0/webhooks", {"url": url})

    assert answer.status_code == 422
    assert "url" in answer.json["errors"]


def test_twenty_webhooks_are_the_most(user: Caller) -> None:
    statuses = [user.post("/v0/webhooks", {"url": "https://example.org/"}).status_code for _ in range(21)]

    assert statuses == [201] * 20 + [422]
