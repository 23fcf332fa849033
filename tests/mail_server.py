"""A mail server of the tests' own that can be down, refuse, and show what it got."""

import email
import email.policy
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from scripts.services import free_port


class Mailbox:
    """Takes mail at `url` while it is started; `answer` is what it says to each: 250 takes it, 4xx and 5xx do not.

    `recipient_answer` is what it says to each address before. With `certificates`, a directory as
    scripts.tls makes it, it speaks TLS and takes mail only of who has logged in over that; it lets everybody.
    """

    def __init__(self, certificates: Path | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.answer = "250 kept"
        self.recipient_answer = "250 known"
        self._options: dict[str, Any] = {}
        if certificates is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
            self._options = {"tls_context": tls, "authenticator": self._let_in, "auth_required": True}
        self._port = free_port()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def _let_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        self.logins.append((given.login, given.password))
        return AuthResult(success=True)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.answer.startswith("250"):
            message = email.message_from_bytes(bytes(envelope.content or b""), policy=email.policy.default)
            self.messages.append(message)  # type: ignore[arg-type]
        return self.answer

    def text(self) -> str:
        """The text of the newest mail."""
        return text_of(self.messages[-1])


def text_of(message: EmailMessage) -> str:
    """The text of a mail."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
