"""A mail server of the tests' own that can be down, refuse, and show what it got."""

import email
import email.policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from scripts.services import free_port


class Mailbox:
    """Takes mail at `url` while it is started; `answer` is what it says to each: 250 takes it, 4xx and 5xx do not."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answer = "250 kept"
        self._port = free_port()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

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
