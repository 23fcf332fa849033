"""Tell those who follow the datapoints that something has been committed: an entry of a Redis stream.

What has been committed stands in the database (`arrivals`), and followers look there once a second anyway: the bell
makes them look at once. So nothing is lost when it cannot be rung, and a writer never waits for it.
"""

import logging
import time
from threading import Event, Lock, Thread

from redis import Redis, RedisError

log = logging.getLogger(__name__)

STREAM = "almanac:arrivals"
_MOST_ENTRIES = 100  # followers read what is new and nothing else
_TIMEOUT_S = 2.0
_PAUSE_S = 1.0  # after an error


def ring(redis: Redis) -> None:
    """Ring once, and wait for it. Raises redis.RedisError."""
    redis.xadd(STREAM, {"rung_at": time.time_ns()}, maxlen=_MOST_ENTRIES, approximate=True)


class Bell:
    """Rings in a thread of its own; what is rung while it is busy is one ring more."""

    def __init__(self, redis_url: str) -> None:
        """`redis_url` may be empty: nobody is told then. Nothing connects before the first ring, as after a fork."""
        self._redis_url = redis_url
        self._rung = Event()
        self._thread: Thread | None = None
        self._lock = Lock()

    def ring(self) -> None:
        """Ring soon, and do not wait for it; call it after the commit."""
        if not self._redis_url:
            return
        self._rung.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = Thread(target=self._run, name="bell", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        redis = Redis.from_url(self._redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        is_away = False
        while True:
            self._rung.wait()
            self._rung.clear()
            try:
                ring(redis)
                is_away = False
            except RedisError as error:
                if not is_away:
                    log.warning("Redis away: live streams are up to a second late", extra={"error": str(error)})
                is_away = True
                time.sleep(_PAUSE_S)
