"""Log as JSON lines on standard output: `{"time": …, "level": …, "event": …, …}`. No secret gets into a line."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({})))

# Where addresses and headers hold secrets: parameters, the paths of mailed links, credentials, JWTs, private tokens.
_SECRET = re.compile(
    r"""((?<![a-z])(?:access_token|refresh_token|token|password|client_secret|code|code_verifier|signature)=
        | /password_resets?/ | /download/ | \bauthorization\W{1,5}(?:bearer|basic)[ ] | \beyJ | \balmanac_(?=[\w-]{40}))
        [^\s&"'\\]+""",
    re.IGNORECASE | re.VERBOSE,
)


def masked(text: str) -> str:
    """Return a line of a log without the secrets that addresses and headers hold."""
    return _SECRET.sub(r"\1…", text)


class JsonLines(logging.Formatter):
    """One record a line; what the call gave as `extra` becomes fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD and name != "message"}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return masked(orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode())


def configure_logging(level: int = logging.INFO) -> None:
    """Send records to standard output: the ingestor's of this level and above, every other logger's from INFO on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("ingestor").setLevel(level)
