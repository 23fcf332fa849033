"""Make MQTT clients from `mqtt://user:password@host:port` addresses, for whoever of us talks to the broker."""

import ssl
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_Client = TypeVar("_Client", bound=mqtt.Client)


def make_client(
    kind: type[_Client], url: str, client_id: str, variable: str, **options: Any
) -> tuple[_Client, tuple[str, int]]:
    """Return an MQTT 5 client that knows its user and its TLS, and the host and port to connect it to.

    `options` go to paho's Client. `mqtts://` checks the broker's certificate against the system's authorities, or those
    in the file that SSL_CERT_FILE names. Raises ValueError for an address that is none, with the `variable` that holds
    it and without its password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        given = f"{variable}={parts.scheme}://{parts.hostname}"
        raise ValueError(f"{given}: expected mqtt://[user:password@]host[:port] or mqtts://…")
    client = kind(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, **options)
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "mqtts":
        client.tls_set_context(ssl.create_default_context())
    return client, (parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883))
