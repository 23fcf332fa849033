"""A connection to the broker, as one of our programs that tell it things."""

from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt


class BrokerError(Exception):
    """The broker is away, refuses us, or does not do what it is told."""


class Connection:
    """For a `with` block; raises BrokerError. A subclass makes the client, and may wait for the welcome."""

    _client: mqtt.Client
    _address: tuple[str, int]
    _keepalive_s = 30

    def __enter__(self) -> Self:
        try:
            self._client.connect(*self._address, keepalive=self._keepalive_s)
        except OSError as error:
            raise BrokerError(f"{self._address[0]}:{self._address[1]}: {error}") from error
        self._client.loop_start()
        try:
            self._welcome()
        except BrokerError:
            self._client.loop_stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _welcome(self) -> None:
        """Return once the broker has let us in."""
