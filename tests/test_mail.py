"""Mails: written from templates, sent by a worker, each once whatever the mail server does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from caller import Caller
from flask import Flask
from jinja2 import UndefinedError
from mail_server import Mailbox
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from app.config import Config
from app.jobs.queue import enqueue, open_queue
from app.mail import send_later
from app.mail.errors import MailError, RefusedMailError
from app.mail.message import write
from app.mail.smtp import send
from scripts.tls import make_certificates

TO = "ana@example.org"
VALUES: dict[str, Any] = {
    "title": "Balcony <b>",
    "rows": 12,
    "size": "3 kB",
    "attached": False,
    "download_url": "https://almanac.example/v0/exports/1/download?x=1&y=2",
}


@pytest.fixture
def queue(config: Config, work: Callable[[], None]) -> Queue:
    return open_queue(config.redis_url)


def retry_now(queue: Queue) -> None:
    """What RQ's scheduler does when a retry is due."""
    registry = ScheduledJobRegistry(queue=queue)
    for job_id in registry.get_job_ids():
        registry.remove(job_id)
        queue.enqueue_job(Job.fetch(job_id, connection=queue.connection, serializer=queue.serializer))


def test_a_mail_says_the_same_as_text_and_as_html(app: Flask, mailbox: Mailbox, work: Callable[[], None]) -> None:
    with app.app_context():
        send_later("export_finished", TO, **VALUES)
    work()

    (message,) = mailbox.messages
    html = message.get_body(("html",))
    assert html is not None
    assert (message["To"], message["From"]) == (TO, "Almanac <almanac@example.org>")
    assert message["Subject"] == "Your export of Balcony <b>"
    assert VALUES["download_url"] in mailbox.text()
    assert "Balcony &lt;b&gt;" in html.get_content()
    assert "download?x=1&amp;y=2" in html.get_content()


def test_a_mail_waits_for_the_server_and_then_comes_once(
    mailbox: Mailbox, work: Callable[[], None], queue: Queue
) -> None:
    mailbox.stop()
    send_later("export_finished", TO, **VALUES)
    work()
    mailbox.start()
    mailbox.answer = "451 later"
    retry_now(queue)
    work()
    assert mailbox.messages == []

    mailbox.answer = "250 kept"
    retry_now(queue)
    work()
    retry_now(queue)
    work()
    assert len(mailbox.messages) == 1


def test_a_job_that_is_done_again_after_its_mail_went_out_sends_none(
    mailbox: Mailbox, work: Callable[[], None], queue: Queue
) -> None:
    send_later("export_finished", TO, **VALUES)
    (job_id,) = queue.get_job_ids()
    work()

    # What RQ does with the job of a worker that died before it could say that the job was done.
    queue.enqueue_job(Job.fetch(job_id, connection=queue.connection, serializer=queue.serializer))
    work()

    assert [message["Message-ID"] for message in mailbox.messages] == [f"<{job_id}@example.org>"]


def test_what_the_server_refuses_for_good_is_not_tried_again_until_an_admin_says_so(
    mailbox: Mailbox, work: Callable[[], None], queue: Queue, admin: Caller, user: Caller
) -> None:
    queue.empty()  # of what the two accounts have caused
    mailbox.answer = "550 no such mailbox"
    send_later("export_finished", TO, **VALUES)
    (mail_id,) = queue.get_job_ids()
    work()

    assert mailbox.messages == []
    assert ScheduledJobRegistry(queue=queue).get_job_ids() == []
    (failed,) = admin.get("/v0/admin/failed_mails").json
    assert (failed["id"], failed["template"], failed["to"]) == (mail_id, "export_finished", TO)
    assert failed["error"] == "RefusedMailError: the mail server refuses: (550, b'no such mailbox')"
    assert VALUES["download_url"] not in str(failed)

    mailbox.answer = "250 kept"
    assert user.post(f"/v0/admin/failed_mails/{mail_id}/send").status_code == 403
    assert admin.post(f"/v0/admin/failed_mails/{mail_id}/send").status_code == 202
    work()
    assert [message["To"] for message in mailbox.messages] == [TO]
    assert admin.get("/v0/admin/failed_mails").json == []
    assert admin.post(f"/v0/admin/failed_mails/{mail_id}/send").status_code == 404


def test_mails_that_failed_are_listed_alone_the_newest_first(
    mailbox: Mailbox, work: Callable[[], None], queue: Queue, admin: Caller
) -> None:
    queue.empty()  # of what the account has caused
    mailbox.answer = "550 no such mailbox"
    for mail_id in ("b-older", "a-newer"):
        send_later("export_finished", TO, mail_id=mail_id, **VALUES)
    enqueue("mail.nothing_of_that_name")
    for job in queue.jobs:
        job.created_at -= timedelta(days=1)
        job.save()
    before = datetime.now(UTC).replace(microsecond=0)
    work()
    assert len(queue.failed_job_registry) == 3
    queue.connection.zincrby(queue.failed_job_registry.key, -60, "mail-b-older")  # RQ knows the time to the second

    listed = admin.get("/v0/admin/failed_mails").json
    assert [mail["id"] for mail in listed] == ["mail-a-newer", "mail-b-older"]
    assert all(datetime.fromisoformat(mail["failed_at"]) >= before for mail in listed)


def test_a_failed_job_that_is_no_mail_is_not_sent(work: Callable[[], None], queue: Queue, admin: Caller) -> None:
    job = enqueue("purges.nothing_of_that_name")
    work()

    assert admin.post(f"/v0/admin/failed_mails/{job.id}/send").status_code == 404
    assert admin.post("/v0/admin/failed_mails/no+job's id/send").status_code == 404
    assert queue.failed_job_registry.get_job_ids() == [job.id]


def test_a_mail_whose_worker_died_at_its_last_try_says_so(
    work: Callable[[], None], queue: Queue, admin: Caller
) -> None:
    queue.empty()  # of what the account has caused
    send_later("export_finished", TO, **VALUES)
    (job,) = queue.jobs
    job.retries_left = 0
    job.save()
    job.set_status(JobStatus.STARTED)
    started = StartedJobRegistry(queue=queue)
    queue.connection.zadd(started.key, {f"{job.id}:of-a-worker-that-died": 1})
    started.cleanup()  # what any worker does

    (failed,) = admin.get("/v0/admin/failed_mails").json
    assert failed["error"] == "its worker died"


def test_without_a_mail_server_the_reason_is_kept_with_the_job(
    work: Callable[[], None], queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_URL", "")
    monkeypatch.setattr("app.mail.RETRY_AFTER_S", [0])
    send_later("export_finished", TO, **VALUES)
    work()

    (job_id,) = FailedJobRegistry(queue=queue).get_job_ids()
    result = Job.fetch(job_id, connection=queue.connection, serializer=queue.serializer).latest_result()
    assert result is not None
    assert "MAIL_URL is not set" in str(result.exc_string)


def test_a_value_that_a_template_misses_is_an_error_and_not_a_gap(config: Config) -> None:
    with pytest.raises(UndefinedError, match="rows"):
        write(config, "export_finished", TO, {key: VALUES[key] for key in VALUES if key != "rows"}, "mail-1")


def test_an_address_cannot_smuggle_in_a_header(config: Config) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        write(config, "export_finished", "ana@example.org\nBcc: all@example.org", VALUES, "mail-1")


def test_a_subject_of_any_script_arrives(config: Config, mailbox: Mailbox) -> None:
    send(mailbox.url, write(config, "export_finished", TO, {**VALUES, "title": "Балкон № 5"}, "mail-1"))

    assert mailbox.messages[0]["Subject"] == "Your export of Балкон № 5"


def test_a_subject_is_one_line_whatever_a_device_is_called(config: Config, mailbox: Mailbox) -> None:
    title = "Air\rquality\u2028on\x85the\nBcc: all@example.org"

    send(mailbox.url, write(config, "export_finished", TO, {**VALUES, "title": title}, "mail-1"))

    (message,) = mailbox.messages
    assert message["Subject"] == "Your export of Air quality on the Bcc: all@example.org"
    assert message["Bcc"] is None


@pytest.mark.parametrize(("answer", "kind"), [("550 no such user", RefusedMailError), ("450 busy", MailError)])
def test_an_address_that_the_server_refuses_for_good_is_told_from_one_that_it_may_take_later(
    config: Config, mailbox: Mailbox, answer: str, kind: type[MailError]
) -> None:
    mailbox.recipient_answer = answer

    with pytest.raises(MailError, match="the mail server refuses: ") as refused:
        send(mailbox.url, write(config, "export_finished", TO, VALUES, "mail-1"))

    assert refused.type is kind


def test_the_password_travels_over_tls_and_to_no_server_that_cannot_show_who_it_is(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificates(tmp_path)
    mailbox, message = Mailbox(tmp_path), write(config, "export_finished", TO, VALUES, "mail-1")
    url = mailbox.url.replace("//", "//almanac:p%40ss@")
    mailbox.start()
    try:
        with pytest.raises(MailError, match="certificate verify failed"):
            send(url, message)
        assert (mailbox.logins, mailbox.messages) == ([], [])

        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        send(url, message)
    finally:
        mailbox.stop()

    assert mailbox.logins == [(b"almanac", b"p@ss")]
    assert [message["To"] for message in mailbox.messages] == [TO]


def test_without_tls_no_password_goes_to_another_machine(config: Config, mailbox: Mailbox) -> None:
    by_another_name = mailbox.url.replace("//127.0.0.1", "//almanac:secret@127.1")

    with pytest.raises(MailError, match=r"127\.1 offers no TLS, and a password must not travel in the clear"):
        send(by_another_name, write(config, "export_finished", TO, VALUES, "mail-1"))
