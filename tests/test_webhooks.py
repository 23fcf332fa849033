"""Webhooks: alerts as signed requests to a real HTTP server, tried again where it does not take them."""

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from alerting import NOON, Work, hear, publish, watched
from caller import Caller
from mail_server import Mailbox
from receiver import Receiver, make, try_out

from app.alerts import check_silence
from app.jobs import webhooks as jobs
from sql import DictConnection


@pytest.fixture(autouse=True)
def no_other(conn: DictConnection) -> None:
    conn.execute("DELETE FROM webhooks")


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


def test_twenty_webhooks_are_the_most(user: Caller) -> None:
    statuses = [user.post("/v0/webhooks", {"url": "https://example.org/"}).status_code for _ in range(21)]

    assert statuses == [201] * 20 + [422]
