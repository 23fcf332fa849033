"""Live streams through a real server: what is committed arrives, each once, whatever happens on the way."""

import json
import os
import random
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import suite_log
from caller import Caller
from conftest import RunningBroker, RunningIngestor
from flask import Flask
from kits import publish
from streams import Said, Stream, datapoints_of, point, send, served
from waiting import refresh_all, wait_for

from app.config import Config
from app.factory import create_app
from app.jobs.upkeep import purge_arrivals
from ingestor.intake import read_json
from ingestor.known import Known
from ingestor.writer import Writer
from scripts import services
from scripts.supervisor import Child
from sql import DictConnection


@pytest.fixture(scope="module")
def address(config: Config) -> Iterator[str]:
    """Where the API is served."""
    with served(config) as address:
        yield address


def test_a_reading_arrives_with_all_that_there_is_to_know_of_it(address: str, user: Caller) -> None:
    device = user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        send(user, device["id"], t08_30=21.4)

        said = stream.next()

    assert said.name == "readings"
    assert list(said.data) == ["device_id", "received_at", "readings"]
    assert said.data["readings"] == [
        {
            "recorded_at": "2026-01-15T08:30:00Z",
            "late": said.data["readings"][0]["late"],
            "sensors": [{"id": 55, "key": "t", "value": 21.4, "raw": 21.4}],
        }
    ]


def test_what_was_missed_is_replayed_and_nothing_is_lost_or_repeated(address: str, user: Caller) -> None:
    """However often a listener is cut off, and in whatever order the times of the readings are."""
    chance = random.Random(9)
    devices = [user.register_device(name=f"Balcony {number}") for number in range(3)]
    ids = ",".join(str(device["id"]) for device in devices)
    minutes = chance.sample(range(1440), 90)  # late ones among them, and all of them older than others' newest
    sent, got, last_event_id = [], [], ""
    with Stream(address, device_id=ids) as stream:
        last_event_id = stream.last_event_id
    while minutes:
        with Stream(address, device_id=ids, last_event_id=last_event_id) as stream:
            for _ in range(chance.randrange(4)):
                got += datapoints_of(stream.next()) if len(got) < len(sent) else []
            for _ in range(chance.randrange(6)):
                device, taken = chance.choice(devices), [minutes.pop() for _ in range(min(len(minutes), 3))]
                hours = [f"{minute // 60:02}:{minute % 60:02}" for minute in taken]
                values = {
                    f"t{hour.replace(':', '_')}": float(minute) for hour, minute in zip(hours, taken, strict=True)
                }
                if values:
                    send(user, device["id"], **values)
                sent += [point(device, hour, float(minute)) for hour, minute in zip(hours, taken, strict=True)]
        while not stream.heard.empty():  # what had come when the line was cut
            got += datapoints_of(stream.heard.get())
        last_event_id = stream.last_event_id
    with Stream(address, device_id=ids, last_event_id=last_event_id) as stream:
        if len(got) < len(sent):
            got += stream.datapoints(len(sent) - len(got))
        assert stream.hears_nothing()

    assert sorted(got) == sorted(sent)


def test_a_listener_may_be_cut_off_in_the_middle_of_a_large_batch(address: str, user: Caller) -> None:
    device = user.register_device()
    minutes = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440)]
    expected = [point(device, hour, float(number)) for number, hour in enumerate(minutes)]
    with Stream(address, device_id=device["id"]) as stream:
        before = stream.last_event_id
        send(user, device["id"], **{f"t{hour.replace(':', '_')}": float(n) for n, hour in enumerate(minutes)})
        first = stream.next()
        got, in_the_middle = list(datapoints_of(first)), first.id
        rest = stream.datapoints(len(expected) - len(got))

    with Stream(address, device_id=device["id"], last_event_id=in_the_middle) as stream:
        assert stream.datapoints(len(rest)) == rest
        assert stream.hears_nothing()
    assert got + rest == expected
    assert 0 < len(got) < len(expected)
    with Stream(address, device_id=device["id"], last_event_id=before) as stream:
        assert stream.datapoints(len(expected)) == expected


@pytest.mark.skipif("TEST_DATABASE_URL" not in os.environ, reason="the embedded database has one transaction at a time")
def test_a_batch_that_was_begun_earlier_and_committed_later_is_not_lost(
    address: str, user: Caller, conn: DictConnection
) -> None:
    slow, quick = user.register_device(), user.register_device()
    ids = f"{slow['id']},{quick['id']}"
    with Stream(address, device_id=ids) as stream:
        with conn.transaction():
            payload = b'{"data":[{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":55,"value":1}]}]}'
            known = Known()
            Writer(known).write(conn, read_json(conn, slow["id"], "http/readings", payload, known, datetime.now(UTC)))
            send(user, quick["id"], t08_30=2)
            assert stream.datapoints(1) == [point(quick, "08:30", 2)]
            cut_off_at = stream.last_event_id
        assert stream.datapoints(1) == [point(slow, "08:30", 1)]

    with Stream(address, device_id=ids, last_event_id=cut_off_at) as stream:
        assert stream.datapoints(1) == [point(slow, "08:30", 1)]
        assert stream.hears_nothing()


def test_a_correction_is_a_new_event_and_a_repetition_is_none(address: str, user: Caller) -> None:
    device = user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        for value in (1, 1, 2):
            send(user, device["id"], t08_30=value)
        assert stream.datapoints(2)[-1] == point(device, "08:30", 2)
        assert stream.hears_nothing()


def test_late_readings_are_marked(address: str, user: Caller, conn: DictConnection) -> None:
    refresh_all(conn)  # moves the horizon
    device, now = user.register_device(), datetime.now(UTC).replace(microsecond=0)
    with Stream(address, device_id=device["id"]) as stream:
        for time in (now, now - timedelta(hours=2)):
            reading = {"recorded_at": f"{time:%Y-%m-%dT%H:%M:%SZ}", "sensors": [{"id": 55, "value": 1}]}
            assert user.post(f"/v0/devices/{device['id']}/readings", {"data": [reading]}).status_code == 200
        readings = [reading for _ in range(2) for reading in stream.next().data["readings"]]

    assert {reading["recorded_at"]: reading["late"] for reading in readings} == {
        f"{now:%Y-%m-%dT%H:%M:%SZ}": False,
        f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}": True,
    }


def test_a_stream_holds_what_its_filters_let_pass(address: str, user: Caller) -> None:
    here = user.register_device(latitude=41.4, longitude=2.2)
    there = user.register_device(latitude=-33.9, longitude=151.2)
    nowhere = user.register_device()
    both = [point(here, "08:30", 1), point(here, "08:30", 2, sensor=56)]
    expected: list[tuple[dict[str, Any], list[Any]]] = [
        ({"device_id": here["id"]}, both),
        ({"device_id": f"{here['id']},{nowhere['id']}", "sensor_id": "56"}, both[1:]),
        ({"bbox": "2,41,3,42"}, both),
        ({"bbox": "2,41,3,42", "sensor_id": "55"}, both[:1]),
        ({"device_id": here["id"], "measurement_id": "1"}, both[:1]),
        ({"device_id": here["id"], "bbox": "150,-40,152,-30"}, []),
        ({"device_id": here["id"], "sensor_id": "57"}, []),
    ]
    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(address, **query)) for query, _ in expected]
        send(user, here["id"], t08_30=1, b08_30=2)
        for stream, (query, datapoints) in zip(streams, expected, strict=True):
            got = stream.datapoints(len(datapoints))
            assert sorted(got, key=lambda each: each[2]) == datapoints, query
        for device in (there, nowhere):
            send(user, device["id"], t08_30=3)
        send(user, here["id"], t08_31=4)
        assert streams[2].datapoints(1) == [point(here, "08:31", 4)]


def test_who_comes_back_too_late_is_told(
    address: str, user: Caller, worker_env: dict[str, str], conn: DictConnection
) -> None:
    device = user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        last_event_id = stream.last_event_id
        send(user, device["id"], t08_30=1)
        stream.datapoints(1)
    conn.execute("UPDATE arrivals SET arrived_at = arrived_at - interval '25 hours'")

    purge_arrivals()

    for missed in (last_event_id, "7:9:8,7", "nonsense", f"1:{2**31}:", f"1:{2**62}:"):
        with Stream(address, device_id=device["id"], last_event_id=missed) as stream:
            assert stream.next().name == "reset", missed
            send(user, device["id"], t08_31=random.random())
            assert stream.next().name == "readings"


def test_streams_leave_the_threads_to_requests(address: str, user: Caller) -> None:
    """The server of this test has two threads."""
    device = user.register_device()
    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(address, device_id=device["id"])) for _ in range(40)]
        with urllib.request.urlopen(f"{address}/v0/devices/{device['id']}", timeout=10) as answer:
            assert answer.status == 200
        send(user, device["id"], t08_30=1)
        assert [stream.datapoints(1) for stream in streams] == [[point(device, "08:30", 1)]] * 40


def test_listeners_are_not_among_the_connections_that_a_server_takes(config: Config, user: Caller) -> None:
    device = user.register_device()
    with served(config, GUNICORN_CMD_ARGS="--worker-connections 4") as address, ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(Stream(address, device_id=device["id"]))
        with urllib.request.urlopen(f"{address}/v0/devices/{device['id']}", timeout=10) as answer:
            assert answer.status == 200


def test_to_a_proxy_that_speaks_http_1_0_a_stream_is_not_in_chunks(address: str, user: Caller) -> None:
    device = user.register_device()
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as proxy, proxy.makefile("rb") as lines:
        proxy.sendall(b"GET /v0/stream?device_id=%d HTTP/1.0\r\n\r\n" % device["id"])
        while lines.readline() != b"\r\n":
            pass
        opening = [lines.readline() for _ in range(3)]
        send(user, device["id"], t08_30=1)
        said = [lines.readline() for _ in range(4)]

    assert [line.partition(b":")[0] for line in opening] == [b"retry", b"id", b"\n"]
    assert [line.partition(b":")[0] for line in said] == [b"event", b"data", b"id", b"\n"]


def test_a_head_request_opens_no_stream(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with closing(HTTPConnection(host, int(port), timeout=10)) as connection:
        for _ in range(2):
            connection.request("HEAD", "/v0/stream")
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
            assert (answer.read(), answer.headers["X-Accel-Buffering"]) == (b"", "no")


def test_who_cannot_keep_up_gets_everything_later(app: Flask, user: Caller) -> None:
    device, hub = user.register_device(), app.extensions["streams"]
    answer = app.test_client().get(f"/v0/stream?device_id={device['id']}")
    parts = iter(answer.response)
    text = next(parts)
    sent = []
    for day in range(1, 9):  # some 1.2 MB: more than the sockets and the server keep for a listener
        times = [f"2026-01-{day:02}T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(1440)]
        sent += [(device["id"], time, 55, 1.0) for time in times]
        data = [{"recorded_at": time, "sensors": [{"id": 55, "value": 1}]} for time in times]
        assert user.post(f"/v0/devices/{device['id']}/readings", {"data": data}).status_code == 200
        if day == 1:
            text += next(parts)  # it listens now, and does not read on
    wait_for(lambda: hub._listeners and not any(listener.takes_more for listener in hub._listeners))
    while text.count(b"recorded_at") < len(sent):
        text += next(parts)
    answer.close()

    said = [Said("readings", json.loads(line[6:])) for line in text.split(b"\n") if line.startswith(b"data: ")]
    assert [each for one in said for each in datapoints_of(one)] == sent


def test_who_ends_the_streams_ends_their_thread_too(config: Config, user: Caller) -> None:
    """A thread that goes on reading while its process ends finds nothing to read with, and says so at length."""
    device, app, before = user.register_device(), create_app(config), set(threading.enumerate())
    answer = app.test_client().get(f"/v0/stream?device_id={device['id']}")
    parts = iter(answer.response)
    next(parts)
    send(user, device["id"], t08_30=1)
    assert b"recorded_at" in next(parts)

    app.extensions["streams"].close()

    assert "streams" not in {thread.name for thread in set(threading.enumerate()) - before}
    assert list(parts) == []
    app.extensions["database_pool"].close()


def test_readings_over_mqtt_arrive_too(
    address: str, user: Caller, broker: RunningBroker, ingestor: RunningIngestor
) -> None:
    device = user.register_device()
    with Stream(address, device_id=device["id"]) as stream:
        publish(broker, device["device_token"], "readings/raw", b"{t:2026-01-15T08:30:00Z,55:21.4}")

        assert stream.datapoints(1) == [point(device, "08:30", 21.4)]


def test_redis_may_die_and_come_back_and_no_reading_is_lost(
    config: Config, user: Caller, broker: RunningBroker, tmp_path: Path
) -> None:
    port = services.free_port()
    redis = Child(services.redis(tmp_path, port), suite_log.lines.append)
    redis.start()
    redis.wait_until_ready()
    redis_url = f"redis://127.0.0.1:{port}/0"
    ingestor = RunningIngestor(config.database_url, broker.platform_url, REDIS_URL=redis_url)
    device = user.register_device()

    def say(minute: int) -> None:
        publish(broker, device["device_token"], "readings/raw", b"{t:2026-01-15T08:%02d:00Z,55:21.4}" % minute)

    ingestor.start()
    try:
        ingestor.wait_until_ready()
        with served(replace(config, redis_url=redis_url)) as address, Stream(address, device_id=device["id"]) as stream:
            for minute, change in ((30, None), (31, redis.kill), (32, None), (33, redis.start), (34, None)):
                if change:
                    change()
                say(minute)
                assert stream.datapoints(1) == [point(device, f"08:{minute}", 21.4)]
            assert stream.hears_nothing()
    finally:
        ingestor.stop()
        redis.stop()
