"""gunicorn's threaded worker, but that a stream takes its connection out of it and leaves the thread to requests."""

import gc
from concurrent.futures import Future
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

LETS_GO = "almanac.lets_go"  # in a request's environ: its socket may be detached

# A year of hours is 8,760 rows of an answer. To look for cycles every 700 of them, among all that the application is
# made of, took longer than to make the rows.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn carries no types
    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.wsgi  # type: ignore[has-type]
        self.wsgi = lambda environ, start_response: app({**environ, LETS_GO: True}, start_response)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)

    def finish_request(self, conn: TConn, future: Future[Any]) -> None:
        """Forget a connection whose socket has been detached; all others end as they do."""
        if conn.sock.fileno() < 0:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, future)
