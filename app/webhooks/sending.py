"""Send a request to an address that a user names, and to no machine of our own network.

A name is looked up once, and the connection goes to the very address that was looked at, so a name server that gives
another answer the second time gains nothing. Redirects are not followed.
"""

import socket
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from ingestor.deadline import deadline

DEADLINE_S = 15.0  # from the connection's start to the answer's head
_MOST_ADDRESSES = 3  # of one name that are tried
_TIMEOUT_S = 5.0  # without a byte
_LONGEST_ERROR = 500  # characters
_UNICAST = IPv6Network("2000::/3")
_6TO4 = IPv6Network("2002::/16")  # holds an IPv4 address, which may be anybody's


class SendError(Exception):
    """There was no answer; the message says why, for the webhook's owner."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, and not of a network of ours."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    return ip.is_global and ip in _UNICAST and ip not in _6TO4


def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """Send a body, and return the status of the answer. Raises SendError."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        is_secure, host = parts.scheme == "https", parts.hostname or ""
        port = parts.port or (443 if is_secure else 80)
        # A byte now and then, of TLS too, must not hold a worker; and TLS takes the wire over, and gives nothing for it
        # before its handshake has ended: what is cut is a copy.
        with closing(_connect(host, port)) as wire, wire.dup() as copy, deadline(DEADLINE_S, partial(_cut, copy)):
            connection = (HTTPSConnection if is_secure else HTTPConnection)(host, port)
            tls = ssl.create_default_context() if is_secure else None
            connection.sock = tls.wrap_socket(wire, server_hostname=host) if tls else wire
            with closing(connection):
                connection.request("POST", target, body, dict(headers))
                return connection.getresponse().status
    except TimeoutError:
        raise SendError(f"it has not answered within {_TIMEOUT_S:g} seconds") from None
    except socket.gaierror:
        raise SendError(f"there is no address of {parts.hostname}") from None
    except (OSError, HTTPException, ValueError) as error:
        said = str(error).replace("\0", "")[:_LONGEST_ERROR]  # it may quote what was answered
        raise SendError(said or "it closed the connection without an answer") from None


def _connect(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for _, _, _, _, address in found:
        if not is_public(str(address[0])):
            raise SendError(f"{host} is {address[0]}, which is no address of the public internet")
    for family, kind, protocol, _, address in found[:_MOST_ADDRESSES]:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):  # it may have ended by itself
        wire.shutdown(socket.SHUT_RDWR)
