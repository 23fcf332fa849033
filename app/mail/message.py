"""Write a mail from its templates, as text and as HTML."""

import email.policy
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from app.config import Config

_TEMPLATES = Environment(
    loader=PackageLoader("app", "templates/mail"),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,  # a value that is missing fails here, not as a gap that somebody reads
    trim_blocks=True,
    lstrip_blocks=True,
)

# A header of one long word, as an address is, would be folded in an encoding that not every mail program undoes.
_WHOLE_LINES = email.policy.default.clone(max_line_length=998)  # RFC 5322, 2.1.1


def write(config: Config, template: str, to: str, values: Mapping[str, Any], mail_id: str) -> EmailMessage:
    """Return the mail; the same `mail_id` gives the same Message-ID, by which receivers know a mail they have.

    Raises jinja2.TemplateError.
    """
    lines = {name: " ".join(value.split()) for name, value in values.items() if isinstance(value, str)}
    values = {"public_url": config.public_url, **values, **lines}  # a name may hold what ends a line; a subject is one
    subject, _, text = _TEMPLATES.get_template(f"{template}.txt").render(values).partition("\n")
    message = EmailMessage(_WHOLE_LINES)
    message["Subject"] = subject.strip()
    message["From"] = config.mail_from
    message["To"] = to
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{mail_id}@{parseaddr(config.mail_from)[1].partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    if "off_url" in values:  # RFC 8058: a POST there is the one click
        message["List-Unsubscribe"] = f"<{values['off_url']}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(text.strip() + "\n")
    html = _TEMPLATES.get_template(f"{template}.html").render(values, subject=message["Subject"])
    message.add_alternative(html, subtype="html")
    return message
