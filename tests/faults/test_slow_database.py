"""A database that is too slow for a whole batch gets it in parts that it can take in time; one that hangs is left."""

import time
from contextlib import closing
from threading import Event, Timer
from typing import Any
from urllib.parse import urlsplit

import pytest
from caller import Caller
from proxy import proxy_to
from readings import stored

from ingestor import store as module
from ingestor.batch import Batch
from ingestor.intake import Message, read_refused
from ingestor.store import Store
from ingestor.writer import Writer
from sql import DictConnection

MESSAGES = 32
EACH_S, PATIENCE_S, GIVEN_UP_S = 0.05, 1.0, 30


def test_a_batch_that_takes_too_long_is_written_in_halves(
    user: Caller, database_url: str, conn: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = user.register_device()
    topic = f"device/sck/{device['device_token']}/readings/raw"
    messages = [Message(topic, f"{{t:2026-01-15T08:30:{n:02}Z,55:{n}}}".encode()) for n in range(MESSAGES)]
    tried: list[int] = []
    write = Writer.write

    def write_slowly(self: Writer, conn: DictConnection, batch: Batch, *more: Any) -> Any:
        tried.append(len(batch.raws))
        time.sleep(EACH_S * len(batch.raws))
        return write(self, conn, batch, *more)

    monkeypatch.setattr(Writer, "write", write_slowly)
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.01)
    stopping = Event()
    giving_up = Timer(GIVEN_UP_S, stopping.set)
    giving_up.start()
    try:
        with closing(Store(database_url, stopping, PATIENCE_S)) as store:
            assert store.put(messages) == []
    finally:
        giving_up.cancel()

    assert tried[0] == MESSAGES
    assert max(tried[1:]) <= MESSAGES // 2
    assert [row[1] for row in stored(conn, device["id"], 55)] == list(range(MESSAGES))


def test_a_database_that_hangs_while_a_message_is_put_aside_counts_as_gone(
    user: Caller, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, url, stopping, given_up = user.register_device(), urlsplit(database_url), Event(), Event()
    message = Message(f"device/sck/{device['device_token']}/readings/raw", b"{t:2026-01-15T08:30:00Z,55:1}")

    with proxy_to(url.port or 0) as proxy:

        def refuse(*_: Any) -> Any:
            raise ValueError("refused")

        def hang(*arguments: Any) -> Batch:
            proxy.deaf.set()
            stopping.set()  # else it would try for ever
            return read_refused(*arguments)

        monkeypatch.setattr(module, "read_messages", refuse)
        monkeypatch.setattr(module, "read_refused", hang)

        def give_up() -> None:
            given_up.set()
            proxy.cut()

        giving_up = Timer(GIVEN_UP_S, give_up)
        giving_up.start()
        behind = url._replace(netloc=url.netloc.replace(str(url.port), str(proxy.port))).geturl()
        with closing(Store(behind, stopping, PATIENCE_S)) as store:
            assert store.put([message]) is None
        giving_up.cancel()

    assert not given_up.is_set()
