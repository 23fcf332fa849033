"""gunicorn's threaded worker, but that a stream takes its connection out of it, and who asks on keeps his thread."""

import gc
import select
from concurrent.futures import Future
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from app.live.hub import Hub

LETS_GO = "almanac.lets_go"  # in a request's environ: its socket may be detached

# A year of hours is 8,760 rows of an answer. To look for cycles every 700 of them, among all that the application is
# made of, took longer than to make the rows.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_MOMENT_MS = 5  # a proxy on this machine asks again in less than one


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn carries no types
    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.wsgi  # type: ignore[has-type]
        self._hub: Hub = app.extensions["streams"]
        self.wsgi = lambda environ, start_response: app({**environ, LETS_GO: True}, start_response)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)

    def run(self) -> None:
        """Work until told to stop, and end the streams while there are still threads to do it with."""
        try:
            super().run()
        finally:
            self._hub.close()

    def handle(self, conn: TConn) -> Any:
        """Stay with a client that asks again at once, where every connection can have a thread to itself.

        Else the main thread takes it back, waits for the next request and wakes a thread: a tenth of a millisecond in
        quiet, of the 1.5 that a year by the day takes, and much more where processors sleep or are busy.
        """
        going_on = super().handle(conn)
        while going_on is True and self.alive and self.nr_conns <= self.cfg.threads and _asks_again(conn):
            going_on = super().handle(conn)
        return going_on

    def finish_request(self, conn: TConn, future: Future[Any]) -> None:
        """Forget a connection whose socket has been detached; all others end as they do."""
        if conn.sock.fileno() < 0:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, future)


def _asks_again(conn: TConn) -> bool:
    """Wait a moment for a connection's next request; its socket may have been detached."""
    if conn.sock.fileno() < 0:
        return False
    if conn.parser.unreader.buf.getvalue():  # it came with the last one
        return True
    arrived = select.poll()
    arrived.register(conn.sock, select.POLLIN)
    return bool(arrived.poll(_MOMENT_MS))
