"""What has arrived and waits to be written: bounded in messages and in bytes."""

from collections import deque
from collections.abc import Sequence
from threading import Condition
from typing import Generic, Protocol, TypeVar

from ingestor.intake import Message


class _Holds(Protocol):
    @property
    def message(self) -> Message: ...


T = TypeVar("T", bound=_Holds)


class Inbox(Generic[T]):
    """A queue between the network's thread and the writer's; a full one makes the network wait.

    What the writer has taken stands in the way until make_room. Python runs one thread at a time, and each has to wait
    for the other at every step: two at work at once take longer than one after the other.
    """

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._items: deque[T] = deque()
        self._bytes = 0
        self._taken = 0  # messages in whose place none may come yet
        self._enough = 1  # messages that the writer waits for
        self._changed = Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Sequence[T]) -> None:
        """Add items once there is room for one; after close() they are dropped."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or (len(self._items) + self._taken < self._most_messages and self._bytes < self._most_bytes)
                )
            )
            if self._closed:
                return
            self._items.extend(items)
            self._bytes += sum(len(item.message.payload) for item in items)
            if len(self._items) >= self._enough or self._bytes >= self._most_bytes:
                self._changed.notify_all()

    def take(self, most: int, seconds: float) -> list[T]:
        """Wait up to `seconds` for an item, then up to `seconds` more for others; return at most `most`."""
        self.make_room()
        with self._changed:
            for self._enough in (1, most):
                self._changed.wait_for(
                    lambda: self._closed or len(self._items) >= self._enough or self._bytes >= self._most_bytes, seconds
                )
                if not self._items:
                    return []
            taken: list[T] = []
            size = 0
            while self._items and len(taken) < most and size < self._most_bytes:
                taken.append(self._items.popleft())
                size += len(taken[-1].message.payload)
            self._bytes -= size
            self._taken = len(taken)
            return taken

    def make_room(self) -> None:
        """Let others come in the place of those that were taken."""
        with self._changed:
            self._taken = 0
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
