"""From an answer to a stream: what a view returns, and how its connection gets from the server to the hub."""

import errno
import socket
from collections.abc import Iterator

from flask import Response, request

from app.errors import refuse
from app.live import events
from app.live.filters import Filter
from app.live.hub import MOST_LISTENERS, Hub
from app.live.listener import Awaited, Pass
from app.live.position import Position
from app.live.worker import LETS_GO

_CHUNK = 65536


class _TakenError(OSError):
    """Ends the server's part without another byte: to gunicorn this is a client that has gone."""

    def __init__(self) -> None:
        super().__init__(errno.ENOTCONN, "the connection is a stream's now")


def stream(hub: Hub, wanted: Filter | Awaited, shown: Pass, position: Position, first: bytes = b"") -> Response:
    """Return a stream from a position on; `first`: an event that it begins with. 503 where there are too many."""
    if hub.is_full:
        refuse(503, f"{MOST_LISTENERS} listeners are connected: try again", headers={"Retry-After": "30"})
    opening = events.opening(position) + first
    environ = request.environ
    if environ.get(LETS_GO):
        chunked = environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        body = _detached(hub, wanted, shown, position, opening, environ["gunicorn.socket"], chunked=chunked)
    else:
        body = _through_a_thread(hub, wanted, shown, position, opening)
    answer = Response(body, mimetype="text/event-stream")  # never begun where the request is a HEAD
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would keep events until it has a few kilobytes
    return answer


def _detached(
    hub: Hub,
    wanted: Filter | Awaited,
    shown: Pass,
    position: Position,
    opening: bytes,
    connection: socket.socket,
    *,
    chunked: bool,
) -> Iterator[bytes]:
    yield opening  # the server sends the headers with it
    hub.take(socket.socket(fileno=connection.detach()), wanted, shown, position, chunked=chunked)
    raise _TakenError


def _through_a_thread(
    hub: Hub, wanted: Filter | Awaited, shown: Pass, position: Position, opening: bytes
) -> Iterator[bytes]:
    """For servers whose sockets are their own, as in tests: the thread of the request carries the bytes."""
    yield opening
    ours, theirs = socket.socketpair()
    with ours:
        hub.take(theirs, wanted, shown, position, chunked=False)
        while data := ours.recv(_CHUNK):
            yield data
