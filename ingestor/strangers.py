"""Bound what senders with unknown tokens can put into quarantine. Pure: the clock is an argument.

Whoever guesses tokens at the broker's door for kits gets no answer there, and here at most this much room. An address
is not known here, so it is counted by token, and all of them together.
"""

from collections import Counter
from datetime import datetime

# A kit that nobody has registered yet sends one message a minute, and after an outage what it has stored, at once.
PER_TOKEN = 300
TOGETHER = 3000


class Strangers:
    """Counts messages by the clock's minute, in memory for at most TOGETHER tokens."""

    def __init__(self) -> None:
        self._minute = 0
        self._admitted: Counter[bytes] = Counter()
        self._together = 0

    def admits(self, token_hash: bytes, now: datetime) -> bool:
        """Whether there is room for one more message of this token; then it is counted."""
        minute = int(now.timestamp()) // 60
        if minute != self._minute:
            self._minute, self._together = minute, 0
            self._admitted.clear()
        if self._together == TOGETHER or self._admitted[token_hash] == PER_TOKEN:
            return False
        self._admitted[token_hash] += 1
        self._together += 1
        return True
