"""gunicorn's threaded worker, but that a stream takes its connection out of it and leaves the thread to requests."""

from concurrent.futures import Future
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

LETS_GO = "almanac.lets_go"  # in a request's environ: its socket may be detached


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn carries no types
    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.wsgi  # type: ignore[has-type]
        self.wsgi = lambda environ, start_response: app({**environ, LETS_GO: True}, start_response)

    def finish_request(self, conn: TConn, future: Future[Any]) -> None:
        """Forget a connection whose socket has been detached; all others end as they do."""
        if conn.sock.fileno() < 0:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, future)
