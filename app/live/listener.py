"""One open stream: its socket, its filter, and how far it has come."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from app.live import events
from app.live.filters import Filter
from app.live.journal import Part
from app.live.position import Position
from app.policy import sees
from sql import Row

_MOST_WAITING = 256 * 1024  # bytes that a listener has not taken yet; then it has to catch up from the database
_FEW_WAITING = 32 * 1024


class Awaited(NamedTuple):
    """That a device which is being set up speaks for the first time: all that its stream is for."""

    session_hash: bytes
    news: bytes  # the event


class Pass(NamedTuple):
    """What a listener showed at the door, to be looked at again while the stream is open."""

    user: Row | None
    session_id: UUID | None = None
    token_id: int | None = None  # of a private token
    expires_at: float | None = None  # Unix time


class Listener(asyncio.Protocol):
    """Lives in the hub's thread alone once it is connected."""

    def __init__(
        self,
        wanted: Filter | Awaited,
        shown: Pass,
        position: Position,
        *,
        chunked: bool,
        on_end: Callable[["Listener"], None],
    ) -> None:
        self.awaited = wanted if isinstance(wanted, Awaited) else None
        self.wanted = Filter() if isinstance(wanted, Awaited) else wanted
        self.shown = shown
        self.position = position
        self.is_live = False  # else it catches up
        self._chunked = chunked
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._stalled_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a socket's is
        self._transport = transport
        transport.set_write_buffer_limits(high=_MOST_WAITING, low=_FEW_WAITING)

    def connection_lost(self, error: Exception | None) -> None:
        self._on_end(self)

    def pause_writing(self) -> None:
        self.is_live = False
        self._stalled_since = time.monotonic()

    def resume_writing(self) -> None:
        self._stalled_since = None

    @property
    def takes_more(self) -> bool:
        return self._stalled_since is None

    def stalled_for(self, seconds: float) -> bool:
        """Whether it has taken nothing for so long."""
        return self._stalled_since is not None and time.monotonic() - self._stalled_since > seconds

    def wants(self, part: Part) -> bool:
        """Whether a part is new to it, and one that it asked for and may read."""
        return (
            self.position.lacks(part.xid, part.end)
            and self.wanted.wants_device(part.device)
            and sees(self.shown.user, part.device)
        )

    def give(self, part: Part, event: bytes) -> None:
        self.position = self.position.after(part.before, part.xid, part.end)
        self.send(events.at(self.position, event))

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, message: str = "") -> None:
        """Close the stream; a message tells the listener why, where coming back is of no use."""
        if message:
            self.send(events.told("end", message))
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the stream and drop what is waiting."""
        if self._transport is not None:
            self._transport.abort()
