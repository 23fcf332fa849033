"""Where a request comes from: its address, and what a person may know a session of theirs by."""

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypedDict

from flask import request

# What browsers are known by among the names that each of them lists, the ones that list others' names first.
_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}
_PROGRAM = re.compile(r"[A-Za-z][\w.+-]{0,39}", re.ASCII)


class Client(TypedDict):
    """A program and its network, as far as its user needs them to know it again."""

    client: str | None
    network: str | None


def asking_client() -> Client:
    """Return `Firefox on Linux` or `curl`, and the first three numbers of the address, in IPv6 the first 48 bits."""
    address = asking_address()
    network = ip_network((address, 24 if isinstance(address, IPv4Address) else 48), strict=False)
    return {"client": program(request.headers.get("User-Agent", "")), "network": str(network)}


def asking_network() -> str:
    """Return the asking address; in IPv6 its network, since whoever has one has 2^64 addresses."""
    address = asking_address()
    return str(address if isinstance(address, IPv4Address) else IPv6Network((address, 64), strict=False))


def asking_address() -> IPv4Address | IPv6Address:
    """Return where this request comes from, as the trusted proxy says; of what is no address nobody knows.

    Some proxies add the port (RFC 7239 allows it). To a socket of both kinds IPv4 is one network of IPv6.
    """
    said = request.remote_addr or ""
    for text in (said, said.rpartition(":")[0].strip("[]")):
        with suppress(ValueError):
            address = ip_address(text)
            return getattr(address, "ipv4_mapped", None) or address
    return IPv4Address(0)


def program(user_agent: str) -> str | None:
    """Return the name of a browser and its system, or of another program without its version; None: it has none."""
    browser = next((name for sign, name in _BROWSERS.items() if f"{sign}/" in user_agent), None)
    if browser is None or not user_agent.startswith("Mozilla/"):
        found = _PROGRAM.match(user_agent)
        return found[0] if found else None
    system = next((name for sign, name in _SYSTEMS.items() if sign in user_agent), None)
    return f"{browser} on {system}" if system else browser
