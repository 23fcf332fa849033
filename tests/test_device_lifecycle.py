"""The trash, deletion for good, the way to another owner, and many devices at once."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from caller import Caller
from flask import Flask
from rq import Queue, SimpleWorker

from app.jobs.purges import purge_archived
from app.jobs.queue import open_queue
from sql import DictConnection, queries

SENSOR = 55


@pytest.fixture
def queue(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """An empty queue, and the environment of a worker."""
    for name, value in {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "SECRET_KEY": "s" * 32}.items():
        monkeypatch.setitem(os.environ, name, value)
    queue = open_queue(redis_url)
    queue.empty()
    yield queue
    queue.empty()


def work(queue: Queue) -> None:
    SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer).work(burst=True)


def store(conn: DictConnection, device_id: int, times: list[datetime]) -> None:
    conn.execute("INSERT INTO components (device_id, sensor_id, key) VALUES (%s, %s, 't')", [device_id, SENSOR])
    conn.execute(
        "INSERT INTO datapoints (device_id, sensor_id, time, raw, value) "
        "SELECT %s, %s, time, 1, 1 FROM unnest(%s::timestamptz[]) AS time",
        [device_id, SENSOR, times],
    )


def stored(conn: DictConnection, device_id: int) -> dict[str, int]:
    """Return how many rows of a device each table has."""
    tables = ("devices", "components", "datapoints", "datapoints_15m", "datapoints_1h", "datapoints_1d")
    counts = {}
    for table in tables:
        column = "id" if table == "devices" else "device_id"
        row = conn.execute(f"SELECT count(*) AS n FROM {table} WHERE {column} = %s".encode(), [device_id]).fetchone()
        counts[table] = row["n"] if row else 0
    return counts


def test_an_archived_device_is_gone_for_everybody_and_comes_back(user: Caller, anybody: Caller) -> None:
    device = user.register_device(mac_address="02:00:00:00:01:01")
    path = f"/v0/devices/{device['id']}"

    assert user.delete(path).json == {"message": "OK"}
    for caller in (user, anybody):
        assert caller.get(path).status_code == 404
        assert caller.get("/v0/devices", query_string={"q[id_eq]": device["id"]}).json == []
    (kept,) = user.get("/v0/devices/archived").json
    assert list(kept) == ["id", "uuid", "name", "archived_at", "purged_after"]
    restored = user.post(f"{path}/restore")

    assert restored.status_code == 200
    assert restored.json["mac_address"] == "02:00:00:00:01:01"
    assert anybody.get(path).status_code == 200
    assert user.get("/v0/devices/archived").json == []
    user.delete(path)


def test_a_device_comes_back_without_the_mac_address_that_another_has_by_then(new_user: Callable[..., Caller]) -> None:
    owner, other = new_user(), new_user()
    old = owner.register_device(mac_address="02:00:00:00:01:02")
    owner.delete(f"/v0/devices/{old['id']}")
    new = other.register_device(mac_address="02:00:00:00:01:02")

    restored = owner.post(f"/v0/devices/{old['id']}/restore").json

    assert "mac_address" not in restored
    assert other.get(f"/v0/devices/{new['id']}").json["mac_address"] == "02:00:00:00:01:02"
    other.delete(f"/v0/devices/{new['id']}")


def test_only_the_owner_restores_and_purges(user: Caller, new_user: Callable[..., Caller]) -> None:
    device = user.register_device()
    user.delete(f"/v0/devices/{device['id']}")

    for action in ("restore", "purge"):
        assert new_user().post(f"/v0/devices/{device['id']}/{action}").status_code == 403
    assert user.post(f"/v0/devices/{user.register_device()['id']}/purge").status_code == 404


def test_a_purge_that_is_asked_for_while_redis_is_away_is_taken_and_done_later(
    app: Flask, user: Caller, conn: DictConnection, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    device_id = user.register_device()["id"]
    user.delete(f"/v0/devices/{device_id}")
    monkeypatch.setitem(app.extensions, "queue", open_queue("redis://127.0.0.1:1/0"))

    asked = user.post(f"/v0/devices/{device_id}/purge")

    assert (asked.status_code, asked.json["state"]) == (202, "queued")
    purge_archived()  # a worker does so every hour
    assert user.get(f"/v0/devices/{device_id}/purge").json["state"] == "finished"


def test_a_purge_deletes_every_reading_and_says_how_far_it_is(user: Caller, conn: DictConnection, queue: Queue) -> None:
    device_id, neighbour = (user.register_device()["id"] for _ in range(2))
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=7 * n) for n in range(300)]  # 88 days
    for each in (device_id, neighbour):
        store(conn, each, times)
    for rollup in ("datapoints_15m", "datapoints_1h", "datapoints_1d"):
        conn.execute(f"CALL refresh_continuous_aggregate('{rollup}', '2026-01-01', '2026-05-01')".encode())
    kept = stored(conn, neighbour)
    user.delete(f"/v0/devices/{device_id}")

    asked = user.post(f"/v0/devices/{device_id}/purge")
    before = user.get(asked.headers["Location"]).json
    work(queue)
    after = user.get(asked.headers["Location"]).json

    assert asked.status_code == 202
    assert (before["state"], before["percent"], before["datapoints"]) == ("queued", 0, 0)
    assert (after["state"], after["percent"], after["datapoints"]) == ("finished", 100, 300)
    assert set(stored(conn, device_id).values()) == {0}
    assert stored(conn, neighbour) == kept
    assert user.post(f"/v0/devices/{device_id}/restore").status_code == 404


def test_the_trash_is_emptied_after_thirty_days(user: Caller, conn: DictConnection, queue: Queue) -> None:
    old, young = (user.register_device()["id"] for _ in range(2))
    for device_id, days in ((old, 31), (young, 29)):
        conn.execute("UPDATE devices SET archived_at = now() - %s * interval '1 day' WHERE id = %s", [days, device_id])

    purge_archived()

    assert stored(conn, old)["devices"] == 0
    assert stored(conn, young)["devices"] == 1


def test_a_device_whose_deletion_begins_at_that_moment_is_not_restored(user: Caller, conn: DictConnection) -> None:
    device = user.register_device()
    user.delete(f"/v0/devices/{device['id']}")
    conn.execute("UPDATE devices SET archived_at = now() - interval '31 days' WHERE id = %s", [device["id"]])
    statuses: list[int] = []
    restoring = threading.Thread(
        target=lambda: statuses.append(user.post(f"/v0/devices/{device['id']}/restore").status_code)
    )
    with conn.transaction():
        queries.insert_purges_due(conn, days=30)
        restoring.start()
        restoring.join(0.5)  # it has to wait; who does not would be through by then
    restoring.join()

    assert statuses == [404]
    queries.delete_device(conn, id=device["id"])  # the other tests' trash is theirs
    queries.finish_purge(conn, device_id=device["id"])


def test_a_device_goes_to_whoever_has_its_transfer_token_once(new_user: Callable[..., Caller]) -> None:
    seller, buyer, late = new_user(), new_user(), new_user()
    device = seller.register_device(is_private=True)
    offered = seller.post(f"/v0/devices/{device['id']}/transfer", {"days": 1})
    token = {"transfer_token": offered.json["transfer_token"]}

    taken = buyer.post("/v0/devices/transfer", token)

    assert offered.status_code == 201
    assert taken.json["owner"]["id"] == buyer.user["id"]
    assert taken.json["device_token"] == "[FILTERED]"
    assert seller.get(f"/v0/devices/{device['id']}").status_code == 403
    assert late.post("/v0/devices/transfer", token).status_code == 404


def test_an_offer_ends_when_it_is_taken_back_replaced_or_too_old(
    new_user: Callable[..., Caller], conn: DictConnection
) -> None:
    seller, buyer = new_user(), new_user()
    path = f"/v0/devices/{seller.register_device()['id']}/transfer"

    def offer() -> dict[str, str]:
        return {"transfer_token": seller.post(path, {}).json["transfer_token"]}

    replaced, taken_back = offer(), offer()
    assert buyer.post("/v0/devices/transfer", replaced).status_code == 404
    assert seller.delete(path).status_code == 200
    assert buyer.post("/v0/devices/transfer", taken_back).status_code == 404
    assert seller.delete(path).status_code == 404
    old = offer()
    conn.execute("UPDATE device_transfers SET expires_at = now() - interval '1 second'")
    assert buyer.post("/v0/devices/transfer", old).status_code == 404
    assert buyer.post(path, {}).status_code == 403


def test_each_row_of_a_file_is_registered_or_refused_by_itself(user: Caller, conn: DictConnection) -> None:
    file = (
        "\ufeffname,kit_id,latitude,longitude,exposure,is_private,device_token\r\n"
        "Roof,26,41.4,2.2,outdoor,true,\r\n"
        ",26,,,,,\r\n"
        '"Cellar, left",,95,2,indoor,,\r\n'
        "Yard,,,,,,imported-1\r\n"
        "Twin,,,,,,imported-1\r\n"
        "Long,,,,,,,one more\r\n"
        "Tagged,99999999,,,,,\r\n"
    )

    answer = user.post("/v0/devices/import", data=file.encode(), content_type="text/csv")

    assert answer.status_code == 200, answer.text
    assert (answer.json["registered"], answer.json["refused"]) == (2, 5)
    rows = {row["row"]: row for row in answer.json["rows"]}
    assert list(rows) == [2, 3, 4, 5, 6, 7, 8]
    assert {number: list(row["errors"]) for number, row in rows.items() if row["errors"]} == {
        3: ["name"],
        4: ["latitude"],
        6: ["device_token"],
        7: ["row"],
        8: ["kit_id"],
    }
    roof = user.get(f"/v0/devices/{rows[2]['id']}").json
    assert (roof["name"], roof["location"]["city"], roof["data_policy"]["is_private"]) == ("Roof", "Barcelona", True)
    assert len(rows[2]["device_token"]) == 32
    assert rows[5]["device_token"] == "imported-1"
    assert queries.device_id_of_token(conn, hash=b"") is None


def test_an_import_that_has_to_give_way_has_registered_nothing(user: Caller, conn: DictConnection) -> None:
    """Else there would be devices whose tokens nobody has ever seen."""
    conn.execute(
        "CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE deadlock_detected; END; $$;"
        "CREATE TRIGGER meet BEFORE INSERT ON devices FOR EACH ROW WHEN (NEW.name = 'third') EXECUTE FUNCTION meet()"
    )
    try:
        answer = user.post("/v0/devices/import", data=b"name\nfirst\nsecond\nthird\n", content_type="text/csv")
    finally:
        conn.execute("DROP TRIGGER meet ON devices; DROP FUNCTION meet")

    assert answer.status_code == 503
    assert user.get("/v0/devices", query_string={"q[owner_id_eq]": user.user["id"]}).json == []


def test_a_file_may_be_called_a_form_as_curl_does(user: Caller) -> None:
    answer = user.post("/v0/devices/import", data=b"name\nRoof\n", content_type="application/x-www-form-urlencoded")

    assert (answer.status_code, answer.json.get("registered")) == (200, 1), answer.text


@pytest.mark.parametrize(
    ("file", "status"),
    [
        (b"", 400),
        (b"title\nRoof\n", 400),
        (b"name,colour\nRoof,red\n", 400),
        (b"name\n\xff\xfe\n", 400),
        (b"name\nRo\0of\n", 400),
        (b'name\n"' + b"x" * 200_000 + b'"\n', 400),
        (b"name\n" + b"Roof\n" * 1001, 413),
    ],
)
def test_a_file_that_cannot_be_read_registers_nothing(user: Caller, file: bytes, status: int) -> None:
    answer = user.post("/v0/devices/import", data=file, content_type="text/csv")

    assert answer.status_code == status
    assert user.get("/v0/devices", query_string={"q[owner_id_eq]": user.user["id"]}).json == []
