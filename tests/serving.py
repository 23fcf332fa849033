"""The API in the test's own process, which can then look into it and set its clocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def served_here(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve an app and give its address; 0: at a port that is free."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined] # whoever still listens to a stream keeps nobody waiting
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
