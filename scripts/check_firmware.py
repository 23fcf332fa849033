"""Stand between a maker's device and the broker, listen, and say what the device does wrong.

A broker shows its readers neither at which QoS nor whether retained a message was sent, and nothing at all of what it
refuses. So the device is pointed at this program, which passes everything on, both ways.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.error import URLError
from urllib.request import urlopen

from scripts.firmware_rules import Checker
from scripts.mqtt_packets import Connect, MalformedError, Packet, Reader

DESCRIPTION = """\
Point a device at this program instead of at the broker (without TLS); let it run for some of its messages, and end
with Ctrl-C or after --seconds. Exit code 1 where something is wrong.
"""


class Listener:
    """Passes connections on to the broker and shows their packets to a Checker."""

    def __init__(self, checker: Checker, host: str, port: int) -> None:
        self._checker = checker
        self._broker = (host, port)

    async def serve(self, device: asyncio.StreamReader, to_device: asyncio.StreamWriter) -> None:
        """Pass one connection on until a side ends it."""
        try:
            broker, to_broker = await asyncio.open_connection(*self._broker)
        except OSError as error:
            print(f"the broker at {self._broker[0]}:{self._broker[1]} does not answer: {error}", file=sys.stderr)
            to_device.close()
            return
        of_device, of_broker = Reader(of_device=True), Reader(of_device=False)

        def device_sent(packet: Packet) -> None:
            if isinstance(packet, Connect):
                of_broker.level = packet.level
            self._checker.device_sent(packet, datetime.now(UTC))

        passing = [
            asyncio.create_task(self._pass_on(device, to_broker, of_device, device_sent)),
            asyncio.create_task(self._pass_on(broker, to_device, of_broker, self._checker.broker_sent)),
        ]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for task, writer in zip(passing, (to_device, to_broker), strict=True):
            task.cancel()
            writer.close()

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        reader: Reader | None,
        look: Callable[[Packet], None],
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                if reader is not None:
                    try:
                        for packet in reader.feed(chunk):
                            look(packet)
                    except MalformedError as error:
                        self._checker.broken(error)
                        reader = None
                sink.write(chunk)
                await sink.drain()


async def listen(checker: Checker, at: tuple[str, int], broker: tuple[str, int], seconds: float | None) -> None:
    """Listen at an address for some seconds, or until cancelled."""
    server = await asyncio.start_server(Listener(checker, *broker).serve, *at)
    where = "{}:{}".format(*server.sockets[0].getsockname()[:2])
    print(f"listening at {where}, for the broker at {broker[0]}:{broker[1]}", flush=True)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
    server.close()


def known_sensors(api_url: str) -> dict[int, str | None] | None:
    """Return ids and default keys of the catalogue, or None, with a word about it, where the API does not answer."""
    sensors: dict[int, str | None] = {}
    try:
        while True:
            page = len(sensors) // 1000 + 1
            with urlopen(f"{api_url}/v0/sensors?per_page=1000&page={page}", timeout=10) as answer:
                rows = json.load(answer)
            sensors |= {row["id"]: row["default_key"] for row in rows}
            if len(rows) < 1000:
                return sensors
    except (URLError, OSError, ValueError) as error:
        print(f"{api_url} does not answer ({error}): sensors are not checked", file=sys.stderr)
        return None


def report(checker: Checker) -> int:
    """Print what was found and return the exit code."""
    found = checker.findings()
    print(checker.summary())
    for finding, times in found:
        print(f"{'WRONG ' if finding.is_wrong else 'advice'} {finding.what}{f' ({times} times)' if times > 1 else ''}")
        print(f"       {finding.advice}")
    if not found:
        print("Nothing to complain about.")
    return 1 if any(finding.is_wrong for finding, _ in found) else 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: give host:port")
    return host, int(port)


def main(command_line: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m scripts.check_firmware", description=DESCRIPTION)
    parser.add_argument("token", help="the device's token")
    parser.add_argument(
        "--listen",
        type=_address,
        default=("127.0.0.1", 1886),
        help="for the device (127.0.0.1:1886; 0.0.0.0:1886: all)",
    )
    parser.add_argument(
        "--broker", type=_address, default=("127.0.0.1", 1884), help="where devices log in (127.0.0.1:1884)"
    )
    parser.add_argument("--api", default="http://127.0.0.1:5000", help="whose sensors count (%(default)s)")
    parser.add_argument("--interval", type=float, metavar="SECONDS", help="that it should keep, unless it is told one")
    parser.add_argument("--seconds", type=float, help="how long to listen, by default until Ctrl-C")
    arguments = parser.parse_args(command_line)
    checker = Checker(arguments.token, known_sensors(arguments.api), arguments.interval)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(listen(checker, arguments.listen, arguments.broker, arguments.seconds))
    return report(checker)


if __name__ == "__main__":
    sys.exit(main())
