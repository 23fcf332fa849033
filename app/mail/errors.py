"""What can go wrong with a mail."""


class MailError(Exception):
    """The mail server has not taken a mail, and may another time; the message says why."""


class RefusedMailError(MailError):
    """The mail server will never take this mail."""
