"""Every stream of this process, in one thread: what is committed goes to those who asked for it and may read it.

An idle listener costs a socket and a few kilobytes, and no thread: 500 of them leave the threads that answer requests
alone. What everybody listens to is read once; who comes late, comes back or cannot keep up is served from their own
position until they have caught up.
"""

import asyncio
import logging
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout
from redis import RedisError
from redis.asyncio import Redis

from app.live import events
from app.live.filters import Filter
from app.live.journal import Page, read_page
from app.live.listener import Awaited, Listener, Pass
from app.live.position import Position, Snapshot
from ingestor.bell import STREAM
from sql import DictConnection, Pool, Row, queries

log = logging.getLogger(__name__)

MOST_LISTENERS = 2000  # of one process
_LOOK_EVERY_S = 1.0  # also without a bell: Redis may be away, and who commits may die before they ring
_GATHER_S = 0.05  # between two looks: what is committed meanwhile shares one
_HEAR_S = 5  # one look at Redis
_HEARTBEAT_S = 15.0
_STALLED_S = 60.0
_RETRY_S = 1.0
_GOODBYE_S = 2.0


class _Users(NamedTuple):
    """Who is still let in, by what they showed."""

    of_sessions: dict[UUID, Row]
    of_tokens: dict[int, Row]
    by_id: dict[int, Row]

    def user(self, shown: Pass) -> Row | None:
        """Return the user as they are now, None where what was shown is not good any more."""
        if shown.expires_at is not None and shown.expires_at <= time.time():
            return None
        if shown.session_id is not None:
            return self.of_sessions.get(shown.session_id)
        if shown.token_id is not None:
            return self.of_tokens.get(shown.token_id)
        return self.by_id.get(shown.user["id"]) if shown.user else None


class Hub:
    def __init__(self, pool: Pool, redis_url: str) -> None:
        """Nothing starts before the first listener: after the fork."""
        self._pool = pool
        self._redis_url = redis_url
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listeners: set[Listener] = set()
        self._seen: Snapshot | None = None  # by those who are live
        self._rung = asyncio.Event()
        self._somebody = asyncio.Event()

    @property
    def is_full(self) -> bool:
        return len(self._listeners) >= MOST_LISTENERS

    def take(
        self, connection: socket.socket, wanted: Filter | Awaited, shown: Pass, position: Position, *, chunked: bool
    ) -> None:
        """Serve a stream whose headers and opening have been sent; the connection is the hub's from now on."""
        connection.setblocking(False)
        listener = Listener(wanted, shown, position, chunked=chunked, on_end=self._listeners.discard)
        taken: Future[None] = asyncio.run_coroutine_threadsafe(self._join(listener, connection), self._running_loop())
        taken.result()

    def close(self) -> None:
        """End every stream, and the thread: in a process that ends there is nothing left to read with."""
        with self._lock:
            if self._loop is not None and self._thread is not None and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._serving.cancel)
                self._thread.join(_GOODBYE_S)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._serving = self._loop.create_task(self._serve())
                self._thread = threading.Thread(target=self._run, args=[self._loop], name="streams", daemon=True)
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        with closing(loop), suppress(asyncio.CancelledError):
            loop.run_until_complete(self._serving)

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as works:
                for work in (self._follow(), self._hear(), self._beat()):
                    works.create_task(work)
        finally:
            for listener in list(self._listeners):
                listener.abort()  # they come back, and then get what they have missed
            await asyncio.sleep(0)

    async def _join(self, listener: Listener, connection: socket.socket) -> None:
        self._listeners.add(listener)
        # Who comes anew lacks nothing of what the others have got; who comes back has to catch up first.
        listener.is_live = (
            not listener.awaited and self._seen is not None and listener.position.snapshot.covers(self._seen)
        )
        await asyncio.get_running_loop().connect_accepted_socket(lambda: listener, connection)
        self._somebody.set()
        self._rung.set()

    async def _follow(self) -> None:
        while True:
            if not self._listeners:
                self._seen = None
                self._somebody.clear()
                await self._somebody.wait()
            self._rung.clear()
            try:
                moved = await self._step()
            except (psycopg.Error, PoolTimeout, PoolClosed) as error:
                log.warning("streams wait for the database", extra={"error": str(error).strip()})
                await asyncio.sleep(_RETRY_S)
                continue
            except Exception:
                log.exception("streams stumbled")
                await asyncio.sleep(_RETRY_S)
                continue
            await asyncio.sleep(_GATHER_S)
            if not moved:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), _LOOK_EVERY_S)

    async def _step(self) -> bool:
        """Give everybody a page; return whether there may be more."""
        moved = False
        live = [listener for listener in self._listeners if listener.is_live]
        if not live:
            self._seen = None
        elif self._seen is not None:
            page, users = await asyncio.to_thread(self._read, self._seen, live)
            self._check(live, users)
            self._give(page, [listener for listener in live if listener.is_live])
            self._seen = page.seen
            moved = not page.is_last
        others = [listener for listener in self._listeners if not listener.is_live and listener.takes_more]
        await self._tell([listener for listener in others if listener.awaited])
        for listener in others:
            if not listener.awaited:
                moved |= await self._catch_up(listener)
        return moved

    async def _tell(self, listeners: Collection[Listener]) -> None:
        """Tell those who wait for it that their device has spoken, and those whose session is over that."""
        if not listeners:
            return
        spoke = await asyncio.to_thread(self._read_orphans, listeners)
        for listener in listeners:
            if listener.awaited is None or spoke.get(listener.awaited.session_hash) is False:
                continue
            self._listeners.discard(listener)
            if spoke.get(listener.awaited.session_hash):
                listener.send(listener.awaited.news)
                listener.end()
            else:
                listener.end("the onboarding session is over")

    async def _catch_up(self, listener: Listener) -> bool:
        page, users = await asyncio.to_thread(self._read, listener.position.snapshot, [listener])
        self._check([listener], users)
        if listener not in self._listeners:
            return False
        self._give(page, [listener])
        if not listener.takes_more:
            return False  # what it has not got begins after its position
        listener.position = listener.position.after(page.seen)
        if page.is_last:
            listener.is_live = True
            self._seen = self._seen or page.seen
        return not page.is_last

    def _read(self, seen: Snapshot, listeners: Collection[Listener]) -> tuple[Page, _Users]:
        """Read what any of these lack after a snapshot, and who they are by now; in a thread that may wait."""
        filters = {listener.wanted for listener in listeners}
        is_any_wide = any(not wanted.device_ids for wanted in filters)
        ids = None if is_any_wide else frozenset().union(*(wanted.device_ids for wanted in filters))
        with self._pool.connection() as conn:
            page = read_page(conn, seen, ids, lambda device: any(wanted.wants_device(device) for wanted in filters))
            users = _read_users(conn, listeners) if page.parts else _NO_USERS
        return page, users

    def _check(self, listeners: Iterable[Listener], users: _Users) -> None:
        """End the streams of those who are not let in any more, before they get anything."""
        if users is _NO_USERS:
            return
        for listener in listeners:
            if listener.shown.user is not None:
                user = users.user(listener.shown)
                if user is None:
                    listener.is_live = False
                    self._listeners.discard(listener)
                    listener.end("your token or session has ended: sign in again")
                else:
                    listener.shown = listener.shown._replace(user=user)

    def _give(self, page: Page, listeners: Iterable[Listener]) -> None:
        of_device: dict[int, list[Listener]] = defaultdict(list)
        everywhere: list[Listener] = []
        for listener in listeners:
            for device_id in listener.wanted.device_ids:
                of_device[device_id].append(listener)
            if not listener.wanted.device_ids:
                everywhere.append(listener)
        for part in page.parts:
            made: dict[tuple[frozenset[int], frozenset[int]], bytes | None] = {}
            for listener in (*of_device.get(part.device["id"], ()), *everywhere):
                if listener.takes_more and listener.wants(part):
                    wanted = listener.wanted
                    key = (wanted.sensor_ids, wanted.measurement_ids)
                    if key not in made:
                        made[key] = events.readings(part, wanted)
                    if (event := made[key]) is not None:
                        listener.give(part, event)

    async def _hear(self) -> None:
        """Wake the follower when somebody has committed."""
        last = "$"
        while True:
            try:
                async with Redis.from_url(
                    self._redis_url, socket_connect_timeout=2, socket_timeout=2 * _HEAR_S
                ) as redis:
                    while True:
                        heard: Any = await redis.xread({STREAM: last}, block=_HEAR_S * 1000)
                        for _, entries in heard:
                            last = entries[-1][0]
                            self._rung.set()
            except (RedisError, OSError) as error:
                log.warning("streams look once a second: Redis is away", extra={"error": str(error)})
                last = "$"
                await asyncio.sleep(_RETRY_S)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            listeners = list(self._listeners)
            if not listeners:
                continue
            with suppress(psycopg.Error, PoolTimeout, PoolClosed):
                self._check(listeners, await asyncio.to_thread(self._read_users, listeners))
            for listener in list(self._listeners):
                if listener.stalled_for(_STALLED_S):
                    listener.abort()
                elif listener.takes_more:
                    if listener.is_live and self._seen is not None:
                        listener.position = listener.position.after(self._seen)
                    listener.send(events.heartbeat(listener.position))

    def _read_orphans(self, listeners: Collection[Listener]) -> dict[bytes, bool]:
        hashes = [listener.awaited.session_hash for listener in listeners if listener.awaited]
        with self._pool.connection() as conn:
            rows = queries.orphans_that_spoke(conn, session_hashes=hashes)
        return {bytes(row["session_hash"]): row["has_spoken"] for row in rows}

    def _read_users(self, listeners: Collection[Listener]) -> _Users:
        with self._pool.connection() as conn:
            return _read_users(conn, listeners)


_NO_USERS = _Users({}, {}, {})


def _read_users(conn: DictConnection, listeners: Iterable[Listener]) -> _Users:
    shown = [listener.shown for listener in listeners if listener.shown.user is not None]
    session_ids = [each.session_id for each in shown if each.session_id is not None]
    token_ids = [each.token_id for each in shown if each.token_id is not None]
    ids = [each.user["id"] for each in shown if each.user and each.session_id is None and each.token_id is None]
    return _Users(
        {row["session_id"]: row for row in queries.users_of_sessions(conn, ids=session_ids)} if session_ids else {},
        {row["token_id"]: row for row in queries.users_of_private_tokens(conn, ids=token_ids)} if token_ids else {},
        {row["id"]: row for row in queries.live_users(conn, ids=ids)} if ids else {},
    )
