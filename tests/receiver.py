"""A receiver of webhooks as its maker would write it: a real HTTP server that checks what it gets."""

import base64
import hashlib
import hmac
import ssl
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from caller import Caller

from app.webhooks import sending

Work = Callable[[], None]


class Received(NamedTuple):
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """The check that README.md tells receivers to make."""
        text = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), text, hashlib.sha256).digest()
        wanted = f"v1,{base64.b64encode(mac).decode()}"
        return any(hmac.compare_digest(wanted, given) for given in self.headers["webhook-signature"].split())


class Receiver:
    """Keeps what is sent to `url`; `status` is what it answers, with `location` where that is a redirect."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.status = 204
        self.location = ""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(Received(self.headers, body))
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_port}/hook?of=ana"

    def start(self) -> None:
        self._thread.start()

    def speak_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one way to let anything be sent to this machine: to replace the function that looks at addresses."""
    monkeypatch.setattr(sending, "is_public", lambda address: address in ("127.0.0.1", "::1"))


def make(user: Caller, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    answer = user.post("/v0/webhooks", {"url": receiver.url, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def try_out(user: Caller, webhook: dict[str, Any], work: Work) -> dict[str, Any]:
    """Send a test, and return what became of it."""
    queued = user.post(f"/v0/webhooks/{webhook['id']}/test")
    assert queued.status_code == 202, queued.text
    work()
    (delivery, *_) = user.get(f"/v0/webhooks/{webhook['id']}/deliveries").json
    assert delivery["id"] == queued.json["id"]
    return dict(delivery)
