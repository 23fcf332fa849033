"""SD-card files: uploaded, read in the background, and accounted for line by line."""

import gzip
import io
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from caller import Caller
from meanwhile import meanwhile
from psycopg.types.json import Jsonb
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from app.jobs import uploads
from app.jobs.queue import open_queue
from sql import DictConnection, queries

HEADER = "TIME,TEMP,HUM,BATT\nISO 8601,ºC,%,%\nTime,Temperature,Humidity,Battery\n,55,56,10\n"
DAY = {"from": "2026-01-15", "to": "2026-01-16", "rollup": "1m"}


@pytest.fixture
def device(user: Caller) -> dict[str, Any]:
    return user.register_device()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("SECRET_KEY", "k" * 32)


def upload(user: Caller, device: dict[str, Any], text: str, **options: Any) -> dict[str, Any]:
    """Upload, let the job run, and return what became of it."""
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=text.encode(), content_type="text/csv", **options)
    assert answer.status_code == 202, answer.text
    assert answer.json["state"] == "queued"
    uploads.run(answer.json["id"])
    shown: dict[str, Any] = user.get(answer.headers["Location"]).json
    return shown


def test_a_file_is_stored_and_counted(user: Caller, device: dict[str, Any]) -> None:
    text = HEADER + "2026-01-15T08:30:00Z,21.40,48.10,97\n2026-01-15T08:31:00Z,21.50,null,\n"

    shown = upload(user, device, text)

    assert (shown["state"], shown["percent"], shown["lines_read"]) == ("finished", 100, 6)
    assert (shown["received"], shown["stored"], shown["duplicate"], shown["rejected"]) == (4, 4, 0, 0)
    assert user.history(device["id"], 55, **DAY) == [["2026-01-15T08:30:00Z", 21.4], ["2026-01-15T08:31:00Z", 21.5]]


def test_the_same_file_again_stores_nothing(user: Caller, device: dict[str, Any]) -> None:
    text = HEADER + "2026-01-15T08:30:00Z,21.40,48.10,97\n"
    upload(user, device, text)

    again = upload(user, device, text)

    assert (again["stored"], again["duplicate"]) == (0, 3)


def test_each_error_names_its_line_and_costs_only_itself(user: Caller, device: dict[str, Any]) -> None:
    lines = ["2026-01-15T08:30:00Z,warm,48,97", "soon,1,2,3", "2126-01-15T08:30:00Z,1,null,", "1,2,3,4,5,6", "", "\0,1"]

    shown = upload(user, device, HEADER + "\n".join(lines) + "\n2026-01-15T08:40:00Z,7,8,9\n")

    assert [(error["line"], error["reason"]) for error in shown["errors"]][:4] == [
        (5, "not_a_number"),
        (6, "impossible_time"),
        (7, "impossible_time"),
        (8, "unreadable"),
    ]
    assert (shown["stored"], shown["rejected"]) == (5, len(shown["errors"]))


def test_a_dry_run_tells_all_and_stores_nothing(user: Caller, device: dict[str, Any], conn: DictConnection) -> None:
    text = HEADER + "2026-01-15T08:30:00Z,21.40,48.10,97\n2026-01-15T08:31:00Z,x,,\n"

    shown = upload(user, device, text, query_string={"dry_run": "true"})

    assert (shown["dry_run"], shown["stored"], shown["rejected"]) == (True, 3, 1)
    assert not conn.execute("SELECT FROM datapoints WHERE device_id = %s", [device["id"]]).fetchall()
    assert not conn.execute("SELECT FROM quarantine WHERE device_id = %s", [device["id"]]).fetchall()
    assert upload(user, device, text)["stored"] == 3


def test_a_worker_that_dies_repeats_nothing(
    user: Caller,
    device: dict[str, Any],
    conn: DictConnection,
    work: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [f"2026-01-15T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z,1,2,3" for n in range(2500)]
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=(HEADER + "\n".join(lines)).encode())
    write, calls = uploads._write, iter([True, False])

    def dies(*arguments: Any) -> int:
        if not next(calls):
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(uploads, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        uploads.run(answer.json["id"])
    monkeypatch.setattr(uploads, "_write", write)
    work()  # another, which was woken up meanwhile
    half = user.get(answer.headers["Location"]).json
    conn.execute("UPDATE uploads SET due_at = now() WHERE id = %s", [answer.json["id"]])  # its lease has ended
    uploads.watch()
    work()
    whole = user.get(answer.headers["Location"]).json

    assert (half["state"], half["stored"], 0 < half["percent"] < 100) == ("running", 3000, True)
    assert (whole["state"], whole["stored"], whole["duplicate"]) == ("finished", 7500, 0)


def test_a_worker_that_was_taken_for_dead_counts_nothing_twice(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"2026-01-15T08:{n // 60:02}:{n % 60:02}Z,1,2,3" for n in range(1500)]
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=(HEADER + "\n".join(lines)).encode())
    write = uploads._write

    def stalls(*arguments: Any) -> int:
        monkeypatch.setattr(uploads, "_write", write)
        conn.execute("UPDATE uploads SET due_at = now() WHERE id = %s", [answer.json["id"]])  # its lease has ended
        uploads.run(answer.json["id"])
        return write(*arguments)

    monkeypatch.setattr(uploads, "_write", stalls)
    uploads.run(answer.json["id"])

    shown = user.get(answer.headers["Location"]).json
    counts = [shown[name] for name in ("state", "lines_read", "received", "stored", "duplicate")]
    assert counts == ["finished", 1504, 4500, 4500, 0]


def test_each_part_that_is_read_gives_its_worker_more_time(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"2026-01-15T08:{n // 60:02}:{n % 60:02}Z,1,2,3" for n in range(1500)]
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=(HEADER + "\n".join(lines)).encode())

    def lines_read() -> int:
        return int(user.get(answer.headers["Location"]).json["lines_read"])

    def the_first_takes_long() -> None:
        conn.execute("UPDATE uploads SET due_at = now() WHERE id = %s", [answer.json["id"]])
        meanwhile(monkeypatch, uploads, "_write", lambda: read_by_another.append((lines_read(), another())))

    def another() -> int:
        uploads.run(answer.json["id"])
        return lines_read()

    read_by_another: list[tuple[int, int]] = []
    meanwhile(monkeypatch, uploads, "_write", the_first_takes_long)
    uploads.run(answer.json["id"])

    assert read_by_another == [(1004, 1004)]
    assert lines_read() == 1504


def test_a_worker_that_was_taken_for_dead_adds_nothing_to_an_upload_that_has_failed_since(
    user: Caller, device: dict[str, Any], conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        queries.finish_upload(conn, id=answer.json["id"], state="failed", errors=Jsonb([]))

    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=(HEADER + "2026-01-15T08:30:00Z,1,2,3\n").encode())
    meanwhile(monkeypatch, uploads, "_write", fails)
    uploads.run(answer.json["id"])

    shown = user.get(answer.headers["Location"]).json
    assert (shown["state"], shown["stored"]) == ("failed", 0)


def test_an_upload_that_has_been_read_is_not_begun_again(
    user: Caller, device: dict[str, Any], conn: DictConnection, work: Callable[[], None], redis_url: str
) -> None:
    before = upload(user, device, HEADER + "2026-01-15T08:30:00Z,1,2,3\n")
    work()  # the queue is empty
    conn.execute("UPDATE uploads SET due_at = now() WHERE id = %s", [before["id"]])
    uploads.watch()
    woken = open_queue(redis_url).job_ids
    uploads.run(before["id"])  # who was woken up before

    assert f"upload-{before['id']}" not in woken
    assert user.get(f"/v0/uploads/{before['id']}").json == before


def test_what_became_of_an_upload_is_told_for_90_days_and_its_file_goes_at_once(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    upload_id = upload(user, device, HEADER + "2026-01-15T08:30:00Z,1,2,3\n")["id"]
    uploads.watch()
    kept = conn.execute("SELECT content FROM uploads WHERE id = %s", [upload_id]).fetchone()
    assert kept == {"content": None}

    conn.execute("UPDATE uploads SET created_at = now() - INTERVAL '91 days' WHERE id = %s", [upload_id])
    uploads.watch()
    assert user.get(f"/v0/uploads/{upload_id}").status_code == 404


def test_the_uploads_of_a_device_in_the_trash_are_not_shown(user: Caller, device: dict[str, Any]) -> None:
    upload_id = upload(user, device, HEADER + "2026-01-15T08:30:00Z,1,2,3\n")["id"]

    user.delete(f"/v0/devices/{device['id']}")

    assert user.get(f"/v0/uploads/{upload_id}").status_code == 404


def test_a_line_that_the_database_refuses_costs_only_itself(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    lines = [f"2026-01-15T08:{n:02}:00Z,{n},2,3\n" for n in range(10)]
    conn.execute("ALTER TABLE components ADD CONSTRAINT picky CHECK (latest_value <> 9) NOT VALID")
    try:
        shown = upload(user, device, HEADER + "".join(lines))
    finally:
        conn.execute("ALTER TABLE components DROP CONSTRAINT picky")

    assert [shown[name] for name in ("state", "lines_read", "stored", "rejected")] == ["finished", 14, 27, 3]
    assert {(error["line"], error["reason"]) for error in shown["errors"]} == {(14, "refused_by_database")}
    assert all("picky" in error["detail"] for error in shown["errors"])


@pytest.mark.parametrize("passing", [JobTimeoutException("an hour is over"), psycopg.OperationalError("away")])
def test_what_passes_ends_no_upload(
    user: Caller, device: dict[str, Any], monkeypatch: pytest.MonkeyPatch, passing: Exception
) -> None:
    text = HEADER + "2026-01-15T08:30:00Z,1,2,3\n"
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=text.encode(), content_type="text/csv")

    def write(*_: Any) -> int:
        raise passing

    monkeypatch.setattr(uploads, "_write", write)
    with pytest.raises(type(passing)):
        uploads.run(answer.json["id"])

    assert user.get(answer.headers["Location"]).json["state"] == "running"


def test_a_file_that_can_be_neither_read_nor_counted_fails_and_says_why(
    user: Caller, device: dict[str, Any], conn: DictConnection
) -> None:
    conn.execute("ALTER TABLE uploads ADD CONSTRAINT picky CHECK (lines_read = 0) NOT VALID")
    try:
        shown = upload(user, device, HEADER + "2026-01-15T08:30:00Z,1,2,3\n")
    finally:
        conn.execute("ALTER TABLE uploads DROP CONSTRAINT picky")

    assert (shown["state"], shown["stored"]) == ("failed", 0)
    (error,) = shown["errors"]
    assert error["line"] == 1
    assert "picky" in error["detail"]


@pytest.mark.parametrize(
    "text", ["", "a,b\n", HEADER.replace(",55,56,10", "x,55"), HEADER.replace(",55,56,10", ",t,h")]
)
def test_a_file_that_names_no_sensors_is_refused_at_once(user: Caller, device: dict[str, Any], text: str) -> None:
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=text.encode(), content_type="text/csv")

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["file"])


def test_a_form_and_a_packed_body_do_as_well(user: Caller, device: dict[str, Any]) -> None:
    content = (HEADER + "2026-01-15T08:30:00Z,1,2,3\n").encode()
    path = f"/v0/devices/{device['id']}/uploads"

    form = user.post(path, data={"file": (io.BytesIO(content), "26-01-15.CSV")}, content_type="multipart/form-data")
    packed = user.post(path, data=gzip.compress(content), headers={"Content-Encoding": "gzip"})

    assert (form.status_code, form.json["filename"], form.json["size"]) == (202, "26-01-15.CSV", len(content))
    assert (packed.status_code, packed.json["size"]) == (202, len(content))
    assert [shown["id"] for shown in user.get(path).json] == [packed.json["id"], form.json["id"]]


def test_a_body_is_a_file_whatever_its_content_type_says(user: Caller, device: dict[str, Any]) -> None:
    content = (HEADER + "2026-01-15T08:30:00Z,1,2,3\n").encode()

    answer = user.post(
        f"/v0/devices/{device['id']}/uploads", data=content, content_type="application/x-www-form-urlencoded"
    )

    assert (answer.status_code, answer.json["size"]) == (202, len(content))


def test_a_worker_reads_what_waits_in_the_queue(user: Caller, device: dict[str, Any], redis_url: str) -> None:
    text = (HEADER + "2026-01-15T08:30:00Z,1,2,3\n").encode()
    answer = user.post(f"/v0/devices/{device['id']}/uploads", data=text)
    queue = open_queue(redis_url)

    SimpleWorker([queue], connection=Redis.from_url(redis_url), serializer=JSONSerializer).work(burst=True)

    assert user.get(answer.headers["Location"]).json["stored"] == 3
