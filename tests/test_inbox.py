"""The queue between the network's thread and the writer's: who waits for whom."""

from collections.abc import Iterator
from threading import Thread
from typing import NamedTuple

import pytest

from ingestor.inbox import Inbox
from ingestor.intake import Message

MOST, BYTES = 4, 100


class Item(NamedTuple):
    message: Message


def items(number: int, size: int = 1) -> list[Item]:
    return [Item(Message("topic", bytes(size))) for _ in range(number)]


@pytest.fixture
def inbox() -> Iterator[Inbox[Item]]:
    inbox: Inbox[Item] = Inbox(MOST, BYTES)
    yield inbox
    inbox.close()


def waits(thread: Thread) -> bool:
    thread.join(0.1)
    return thread.is_alive()


def arrive(inbox: Inbox[Item], number: int, size: int = 1) -> Thread:
    thread = Thread(target=inbox.put, args=[items(number, size)], daemon=True)
    thread.start()
    return thread


def test_a_full_inbox_makes_the_network_wait(inbox: Inbox[Item]) -> None:
    inbox.put(items(MOST))

    assert waits(arrive(inbox, 1))


def test_bytes_fill_it_too(inbox: Inbox[Item]) -> None:
    inbox.put(items(1, BYTES))

    assert waits(arrive(inbox, 1))


def test_what_was_taken_stands_in_the_way_until_room_is_made(inbox: Inbox[Item]) -> None:
    inbox.put(items(MOST))
    inbox.take(MOST, 0)
    arriving = arrive(inbox, 1)
    assert waits(arriving)

    inbox.make_room()

    assert not waits(arriving)
    assert len(inbox) == 1


def test_who_comes_for_more_makes_room_for_it(inbox: Inbox[Item]) -> None:
    inbox.put(items(MOST))
    inbox.take(MOST, 0)
    arriving = arrive(inbox, 1)

    assert len(inbox.take(MOST, 0.2)) == 1
    assert not waits(arriving)


def test_the_end_lets_nobody_wait(inbox: Inbox[Item]) -> None:
    inbox.put(items(MOST))
    arriving = arrive(inbox, 1)

    inbox.close()

    assert not waits(arriving)
    assert len(inbox) == MOST


def test_what_fills_its_bytes_is_handed_out_at_once(inbox: Inbox[Item]) -> None:
    taken: list[Item] = []
    taking = Thread(target=lambda: taken.extend(inbox.take(MOST, 10)), daemon=True)
    taking.start()
    inbox.put(items(1))
    assert waits(taking)

    inbox.put(items(1, BYTES))

    taking.join(5)
    assert len(taken) == 2
