"""Bodies of requests, whole and unpacked, within one limit."""

import zlib
from typing import Any

import flask
from flask import request

from app.errors import refuse

MOST_BYTES = 10 * 1024 * 1024


class WholeRequest(flask.Request):
    """A request whose body is never just the beginning of one."""

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        data = super().get_data(*args, **kwargs)
        if self.content_length is None and len(data) == self.max_content_length:
            self.stream.read(1)  # raises: Werkzeug ends a body that is sent in chunks at the limit, and says nothing
        return data


def unpacked(body: bytes) -> bytes:
    """Return a body as its Content-Encoding says, of at most MOST_BYTES; refuse it with 400, 413 or 415."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "gzip":
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            body = unpacker.decompress(body, MOST_BYTES + 1)
        except zlib.error as error:
            refuse(400, f"the body is not what Content-Encoding: gzip says: {error}")
        if len(body) <= MOST_BYTES and not unpacker.eof:
            refuse(400, "the gzip body ends too early")
        if len(body) <= MOST_BYTES and unpacker.unused_data:
            refuse(400, "the body goes on after the end of its gzip member: send all of it as one")
    elif encoding != "identity":
        refuse(415, f"Content-Encoding {encoding[:40]!r} is not known here: use gzip, or none")
    if len(body) > MOST_BYTES:
        refuse(413, f"more than {MOST_BYTES:,} bytes unpacked: send it in several requests")
    return body
