"""Bodies of requests that may be packed, within one limit."""

import zlib

from flask import request

from app.errors import refuse

MOST_BYTES = 10 * 1024 * 1024


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
