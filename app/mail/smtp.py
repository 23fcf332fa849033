"""Hand a mail to the mail server."""

import logging
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from app.mail.errors import MailError, RefusedMailError

log = logging.getLogger(__name__)

_TIMEOUT_S = 30
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def send(mail_url: str, message: EmailMessage) -> None:
    """Return once the server has taken the mail.

    Raises RefusedMailError when it will never take it, and MailError when it may take it another time.
    """
    if not mail_url:
        raise MailError("MAIL_URL is not set, so no mail can be sent")
    try:
        server = _connect(mail_url)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"the mail server cannot be used: {error}") from error
    try:
        server.send_message(message)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
        raise (RefusedMailError if _for_good(error) else MailError)(f"the mail server refuses: {error}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"the mail server went away: {error}") from error
    finally:
        _quit(server)


def _connect(mail_url: str) -> smtplib.SMTP:
    """Connect, encrypt where the server can, and log in where the URL has a user."""
    url = urlsplit(mail_url)
    host, context = url.hostname or "localhost", ssl.create_default_context()
    server: smtplib.SMTP
    if url.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, url.port or 465, timeout=_TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, url.port or (587 if url.username else 25), timeout=_TIMEOUT_S)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif url.username and host not in _LOOPBACK:
            server.close()
            raise smtplib.SMTPException(f"{host} offers no TLS, and a password must not travel in the clear")
    if url.username:
        server.login(unquote(url.username), unquote(url.password or ""))
    return server


def _for_good(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException) -> bool:
    """Whether the server's answer is a 5xx: trying again would not help (RFC 5321, 4.2.1)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return error.smtp_code >= 500


def _quit(server: smtplib.SMTP) -> None:
    """Part from the server; what goes wrong now does not make a taken mail untaken."""
    try:
        server.quit()
    except (OSError, smtplib.SMTPException) as error:
        log.info("the mail server did not say goodbye", extra={"error": str(error)})
