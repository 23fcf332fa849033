"""How an export comes through: workers that die, mail servers that are away, owners who change their mind."""

import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from caller import Caller
from exporting import START, TEMPERATURE, ask, device_of_three_years, export, fetch, mails, show, store
from flask import Flask
from mail_server import Mailbox, text_of
from meanwhile import meanwhile
from waiting import wait_for

from app.exports.make import Made
from app.exports.storage import Storage
from app.jobs import exports as jobs
from app.jobs.queue import open_queue
from scripts.supervisor import Child, Service
from sql import DictConnection, queries

Work = Callable[[], None]


@pytest.fixture
def device(user: Caller, conn: DictConnection) -> dict[str, Any]:
    return device_of_three_years(user, conn)


def a_worker(env: dict[str, str], first: str = "pass") -> Child:
    """A worker in one process: RQ's own forks one a job, which outlives a worker that is killed, and goes on."""
    start = f"{first}; import rq; rq.Worker = rq.SimpleWorker; from app.cli import almanac; almanac()"
    return Child(Service("worker", [sys.executable, "-c", start, "worker"], env, says='"event":"working"'))


# Where a worker is when somebody else interferes, and how it would have gone on.
MOMENTS = {
    "reads": (jobs, "make", None),
    "stores": (Storage, "put", None),
    "cannot store": (Storage, "put", OSError("no space left on device")),
    "cannot ever": (Storage, "put", jobs.CannotError("there is nothing in it")),
}


def let_time_pass(conn: DictConnection, work: Work) -> None:
    """Let everything that waits for a time be due, and a worker look."""
    conn.execute("UPDATE exports SET due_at = now() WHERE due_at > now()")
    conn.execute("UPDATE exports SET mail_due_at = now() WHERE mail_due_at > now()")
    jobs.watch()
    work()


def test_a_worker_that_is_killed_midway_costs_time_and_nothing_else(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], mailbox: Mailbox, worker_env: dict[str, str]
) -> None:
    # A worker of a slower world: it reads an hour at a time, of three years.
    worker = a_worker(worker_env, "import app.exports.read as r; r._LARGEST_WINDOW_US = 3_600_000_000")
    worker.start()
    try:
        worker.wait_until_ready()
        export_id = ask(user, device)
        wait_for(lambda: show(user, export_id)["percent"] > 0)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.kill()
    midway = show(user, export_id)
    let_time_pass(conn, work)

    ended, again = show(user, export_id), export(user, work, device["id"])
    assert midway["state"] == "running"
    assert (ended["state"], ended["sha256"]) == ("finished", again["sha256"])
    assert [str(message["Message-ID"]).partition("@")[0] for message in mails(mailbox, user)] == [
        f"<export-{export_id}",
        f"<export-{again['id']}",
    ]


def test_while_the_mail_server_is_away_the_file_is_there_and_then_comes_one_mail(
    user: Caller, anybody: Caller, work: Work, conn: DictConnection, device: dict[str, Any], mailbox: Mailbox
) -> None:
    mailbox.stop()
    shown = export(user, work, device["id"])
    assert shown["error"].startswith("the mail was not sent: the mail server cannot be used")
    assert fetch(anybody, shown["download_url"])

    mailbox.start()
    let_time_pass(conn, work)
    let_time_pass(conn, work)
    (mail,) = mails(mailbox, user)
    assert re.search(r"ready: \d+ rows, [1-9]\d* kB\.", str(mail.get_body(("plain",))))
    assert show(user, shown["id"])["error"] is None


def test_who_gets_no_mail_in_the_end_reads_why(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], mailbox: Mailbox
) -> None:
    mailbox.answer = "550 no such mailbox"
    shown = export(user, work, device["id"])
    let_time_pass(conn, work)

    assert mails(mailbox, user) == []
    assert shown["state"] == "finished"
    assert "550" in shown["error"]
    assert shown["error"].endswith("fetch it from download_url")


def test_one_export_of_a_user_runs_while_their_others_wait(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    first, second = ask(user, device), ask(user, device)
    queries.claim_export(conn, id=first, lease_s=90)  # another worker is at it
    work()
    assert [show(user, export_id)["state"] for export_id in (first, second)] == ["running", "queued"]

    queries.fail_export(conn, id=first, attempt=1, error="for this test")
    jobs.watch()
    work()
    assert show(user, second)["state"] == "finished"


def test_an_export_whose_worker_died_comes_before_those_of_its_owner_that_wait_for_it(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    waits, died = ask(user, device), ask(user, device)
    queries.claim_export(conn, id=died, lease_s=90)
    work()
    let_time_pass(conn, work)

    assert [show(user, export_id)["state"] for export_id in (died, waits)] == ["finished"] * 2


def test_exports_of_one_user_follow_one_another_without_waiting(
    user: Caller, work: Work, device: dict[str, Any]
) -> None:
    ids = [ask(user, device) for _ in range(2)]
    work()

    assert [show(user, export_id)["state"] for export_id in ids] == ["finished"] * 2


def test_what_lost_redis_left_behind_is_made_all_the_same(
    app: Flask,
    user: Caller,
    new_user: Callable[..., Caller],
    work: Work,
    conn: DictConnection,
    device: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(app.extensions, "queue", open_queue("redis://127.0.0.1:1/0"))
        export_id = ask(user, device)
    work()
    assert show(user, export_id)["state"] == "queued"

    other = new_user()
    running = ask(other, device)  # somebody else's, which is nothing to wait for
    queries.claim_export(conn, id=running, lease_s=90)
    jobs.watch()
    work()
    assert show(user, export_id)["state"] == "finished"
    other.post(f"/v0/exports/{running}/cancel")


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_a_running_export_can_be_stopped(
    user: Caller, work: Work, device: dict[str, Any], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    export_id = ask(user, device)
    make = jobs.make

    def make_and_stop(*arguments: Any) -> Made:
        path = f"/v0/exports/{export_id}"
        ended = user.post(f"{path}/cancel") if end == "cancel" else user.delete(path)
        assert ended.status_code in (200, 204)
        return make(*arguments)

    monkeypatch.setattr(jobs, "make", make_and_stop)
    work()

    after = user.get(f"/v0/exports/{export_id}")
    assert (after.status_code, after.json.get("state")) == ((200, "cancelled") if end == "cancel" else (404, None))
    assert not after.json.get("percent")
    assert mails(mailbox, user) == []


def test_an_export_that_is_stopped_while_it_waits_is_not_made(
    user: Caller, work: Work, device: dict[str, Any], mailbox: Mailbox
) -> None:
    export_id = ask(user, device)
    user.post(f"/v0/exports/{export_id}/cancel")
    work()

    assert show(user, export_id)["state"] == "cancelled"
    assert mails(mailbox, user) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stopped_export_does_not_come_back_however_its_worker_ends(
    user: Caller,
    work: Work,
    conn: DictConnection,
    device: dict[str, Any],
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    export_id = ask(user, device)
    owner, step, error = MOMENTS[moment]
    meanwhile(monkeypatch, owner, step, lambda: user.post(f"/v0/exports/{export_id}/cancel"), error)
    work()
    let_time_pass(conn, work)

    shown = show(user, export_id)
    assert (shown["state"], shown["error"]) == ("cancelled", None)
    assert mails(mailbox, user) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_that_was_taken_for_dead_leaves_the_export_to_the_next_one(
    user: Caller,
    work: Work,
    conn: DictConnection,
    device: dict[str, Any],
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    export_id = ask(user, device)

    def another_takes_it() -> None:
        conn.execute("UPDATE exports SET due_at = now() WHERE id = %s", [export_id])
        queries.claim_export(conn, id=export_id, lease_s=90)

    owner, step, error = MOMENTS[moment]
    meanwhile(monkeypatch, owner, step, another_takes_it, error)
    work()

    shown = show(user, export_id)
    assert (shown["state"], shown["percent"], shown["error"]) == ("running", 0, None)
    let_time_pass(conn, work)
    assert show(user, export_id)["state"] == "finished"
    assert len(mails(mailbox, user)) == 1


def test_half_an_hour_in_which_a_file_goes_to_a_slow_store_is_no_reason_to_begin_anew(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = ask(user, device)

    def half_an_hour() -> None:
        conn.execute("UPDATE exports SET due_at = due_at - INTERVAL '30 min' WHERE id = %s", [export_id])
        jobs.run(export_id)  # another worker
        states.append(show(user, export_id)["state"])

    states: list[str] = []
    meanwhile(monkeypatch, Storage, "put", half_an_hour)
    work()

    assert [*states, show(user, export_id)["state"]] == ["running", "finished"]


def test_to_stop_an_export_that_has_ended_changes_nothing(user: Caller, work: Work, device: dict[str, Any]) -> None:
    before = export(user, work, device["id"])

    after = user.post(f"/v0/exports/{before['id']}/cancel")

    assert (after.status_code, after.json["state"], after.json["sha256"]) == (200, "finished", before["sha256"])


def test_two_workers_that_are_woken_up_for_one_mail_send_it_once(
    user: Caller, work: Work, device: dict[str, Any], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = ask(user, device)
    meanwhile(monkeypatch, jobs, "send", lambda: jobs.mail(export_id))
    work()
    jobs.mail(export_id)  # and one that comes too late

    assert len(mails(mailbox, user)) == 1


def test_an_export_that_kills_its_worker_each_time_is_given_up(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], mailbox: Mailbox
) -> None:
    export_id = ask(user, device)
    conn.execute("UPDATE exports SET attempt = %s WHERE id = %s", [len(jobs.RETRY_AFTER_S) + 1, export_id])
    work()

    assert show(user, export_id)["state"] == "failed"
    assert "its worker was killed" in text_of(mails(mailbox, user)[0])


def test_a_mail_that_no_server_takes_for_two_days_is_given_up(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any], mailbox: Mailbox
) -> None:
    mailbox.stop()
    export_id = export(user, work, device["id"])["id"]
    for _ in jobs.MAIL_RETRY_AFTER_S:
        conn.execute("UPDATE exports SET mail_due_at = now() WHERE id = %s AND mail_due_at IS NOT NULL", [export_id])
        jobs.mail(export_id)

    assert show(user, export_id)["error"].endswith("fetch it from download_url")


def test_a_device_that_turns_private_meanwhile_is_not_given_out(
    new_user: Callable[..., Caller], work: Work, conn: DictConnection, device: dict[str, Any], mailbox: Mailbox
) -> None:
    other = new_user()
    export_id = ask(other, device)
    conn.execute("UPDATE devices SET is_private = true WHERE id = %s", [device["id"]])
    work()

    shown = show(other, export_id)
    assert (shown["state"], shown["error"]) == (
        "failed",
        f"these devices have become private or were archived: {device['id']}",
    )
    assert mails(mailbox, other)[0]["Subject"] == f"Your export {export_id} could not be made"


def test_an_error_of_ours_is_tried_again_and_then_told(
    user: Caller,
    work: Work,
    conn: DictConnection,
    device: dict[str, Any],
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_space(*arguments: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("app.exports.storage.Storage.put", no_space)
    shown = export(user, work, device["id"])
    assert (shown["state"], shown["error"]) == ("queued", "an error of ours (OSError); it has been logged")

    for _ in jobs.RETRY_AFTER_S:
        let_time_pass(conn, work)
    assert show(user, shown["id"])["state"] == "failed"
    assert len(mails(mailbox, user)) == 1


def test_files_go_when_their_time_is_over(
    user: Caller, anybody: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    old, young = export(user, work, device["id"]), export(user, work, device["id"])
    conn.execute("UPDATE exports SET expires_at = now() - INTERVAL '1 s' WHERE id = %s", [old["id"]])
    jobs.purge()

    assert user.get(f"/v0/exports/{old['id']}").status_code == 404
    assert anybody.get(old["download_url"]).status_code == 404
    assert fetch(anybody, young["download_url"])


def test_an_export_that_was_stopped_is_listed_for_a_month(
    user: Caller, work: Work, conn: DictConnection, device: dict[str, Any]
) -> None:
    export_id = ask(user, device)
    user.post(f"/v0/exports/{export_id}/cancel")
    jobs.purge()
    assert show(user, export_id)["state"] == "cancelled"

    conn.execute("UPDATE exports SET finished_at = finished_at - INTERVAL '31 days' WHERE id = %s", [export_id])
    jobs.purge()
    assert user.get(f"/v0/exports/{export_id}").status_code == 404


def test_the_api_answers_while_three_years_are_exported(
    user: Caller, work: Work, conn: DictConnection, worker_env: dict[str, str]
) -> None:
    device = user.register_device()
    store(conn, device["id"], TEMPERATURE, [])
    conn.execute(
        "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) SELECT %s, %s, t, 1, 21.5 "
        "FROM generate_series(%s, %s, INTERVAL '15 minutes') AS t",
        (device["id"], TEMPERATURE, START, START + timedelta(days=1095)),
    )
    states, worker = [], a_worker(worker_env)
    worker.start()
    try:
        worker.wait_until_ready()
        export_id = ask(user, device)
        wait_for(lambda: states.append(show(user, export_id)["state"]) or states[-1] == "finished")
    finally:
        worker.stop()

    assert "running" in states
    assert show(user, export_id)["rows"] == 1095 * 96 + 1
