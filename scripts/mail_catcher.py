"""A mail server that keeps what it gets in files, so that nothing leaves this machine: for ./scripts/dev.

`python -m scripts.mail_catcher --port 1025 --directory var/mail`; any mail program opens the .eml files.
"""

import argparse
import asyncio
import email
import email.policy
import itertools
import re
from datetime import datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Catcher:
    """Writes each mail to a file of its own and says where."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        content = bytes(envelope.content or b"")
        subject = str(email.message_from_bytes(content, policy=email.policy.default)["Subject"])
        name = f"{datetime.now():%Y%m%dT%H%M%S}-{re.sub('[^a-z0-9]+', '-', subject.lower()).strip('-')[:60]}"  # noqa: DTZ005
        for number in itertools.count(1):
            path = self._directory / f"{name}{f'-{number}' if number > 1 else ''}.eml"
            try:
                with path.open("xb") as file:
                    file.write(content)
                break
            except FileExistsError:
                continue
        print(f"mail for {', '.join(envelope.rcpt_tos)}: {subject}: {path}", flush=True)
        return "250 kept"


async def serve(port: int, directory: Path) -> None:
    catcher = Catcher(directory)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(catcher, enable_SMTPUTF8=True), "127.0.0.1", port)
    print(f"catching mail in {directory}", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=1025)
    parser.add_argument("--directory", type=Path, default=Path("var/mail"))
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.directory))


if __name__ == "__main__":
    main()
