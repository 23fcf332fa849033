"""Mosquitto's dynamic-security plugin: what its file holds, and the commands that change it while it runs.

To put another broker in its place, replace this module: `usernames`, `create`, `delete` are all that is asked of one.
A device logs in with its token as user name and password, and the broker's ACL file ties its topics to the user name.
So does who listens to what is forwarded to them, with the token for that.
"""

import base64
import json
import os
import queue
from collections.abc import Collection, Iterable, Sequence
from hashlib import pbkdf2_hmac
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt

from app.broker.connection import BrokerError, Connection
from ingestor.mqtt import make_client

# A token has no dot, so none can take the place of one of these.
KEEPER = "almanac.keeper"
OPERATOR = "almanac.operator"  # the same from the command line: a second KEEPER would end the connection of the first

_COMMANDS = "$CONTROL/dynamic-security/v1"
_ANSWERS = f"{_COMMANDS}/response"
_TIMEOUT_S = 30
# Mosquitto writes its whole file at each change, 12 ms at 2,000 devices and 120 ms at 20,000, and does nothing else
# while a message's commands last.
BATCH = 20

# Where a client's roles do not decide, false leaves it to the ACL file. True would be the plugin's word: with its
# defaults a device that subscribes to `#` reads everybody's messages.
_DEFAULT_ACCESS = {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": True}
_DEFAULTS = [{"acltype": kind, "allow": allow} for kind, allow in _DEFAULT_ACCESS.items()]
_NOTHING = ("#", "$SYS/#", "$share/#", "$CONTROL/#")
_ADMIN_ACCESS = ("publishClientSend", "publishClientReceive", "subscribePattern")


def _acl(kind: str, topic: str, *, allow: bool = True, priority: int = 0) -> dict[str, Any]:
    return {"acltype": kind, "topic": topic, "priority": priority, "allow": allow}


_ROLES = {
    # Refuses what a device has no business with. The ACL file, which knows user names, would accept any subscription
    # and then deliver nothing; the same happens to one for another device's configuration.
    "device": [
        *(_acl("subscribePattern", f"device/sck/+/{part}", priority=1) for part in ("config", "receipts")),
        _acl("subscribePattern", "/forward/+/#", priority=1),
        *(_acl("subscribePattern", topic, allow=False) for topic in _NOTHING),
    ],
    "admin": [_acl(kind, "$CONTROL/dynamic-security/#") for kind in _ADMIN_ACCESS],
}


def document(password: str, tokens: Iterable[str] = ()) -> dict[str, Any]:
    """Return what the plugin's file holds: our own accounts with their password, and a login for each token."""
    return {
        "defaultACLAccess": _DEFAULT_ACCESS,
        "groups": [],
        "roles": [{"rolename": name, "acls": acls} for name, acls in _ROLES.items()],
        "clients": [
            *(_client(name, "admin", _credentials(password)) for name in (KEEPER, OPERATOR)),
            *(_client(token, "device", _credentials(token)) for token in tokens),
        ],
    }


def password_file(username: str, password: str) -> str:
    """Return a line of the broker's other kind of file, for a listener without the plugin."""
    made = _credentials(password)
    return f"{username}:$7${made['iterations']}${made['salt']}${made['password']}\n"


def _client(username: str, role: str, password: dict[str, Any]) -> dict[str, Any]:
    return {"username": username, "roles": [{"rolename": role}], **password}


def _credentials(password: str) -> dict[str, Any]:
    """Return a password as the plugin keeps it; its own number of iterations, for what we give it is random."""
    salt, iterations = os.urandom(12), 101
    digest = pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    encoded = {"password": base64.b64encode(digest).decode(), "salt": base64.b64encode(salt).decode()}
    return {**encoded, "iterations": iterations}


class Dynsec(Connection):
    """A connection to the plugin, for a `with` block; every method raises BrokerError."""

    _keepalive_s = 10

    def __init__(self, url: str, username: str = KEEPER) -> None:
        """`url`: `mqtt://:password@host:port` of the listener that has the plugin."""
        self._client, self._address = make_client(
            mqtt.Client, url, username, variable="MQTT_ADMIN_URL", reconnect_on_failure=False
        )
        self._client.username_pw_set(username, unquote(urlsplit(url).password or ""))
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._answers.put(b"{}")
        self._client.on_message = lambda _client, _data, message: self._answers.put(bytes(message.payload))
        self._client.on_disconnect = lambda _client, _data, _flags, reason, _properties: self._lose(str(reason))
        self._answers: queue.Queue[bytes | BrokerError] = queue.Queue()

    def _welcome(self) -> None:
        self._answer()

    def usernames(self) -> set[str]:
        """Return the names of all logins, ours left out."""
        (listed,) = self._run([{"command": "listClients"}])
        return set(listed["data"]["clients"]) - {KEEPER, OPERATOR}

    def create(self, tokens: Sequence[str]) -> None:
        """Let devices log in; one that may do so already stays as it is."""
        login = {"command": "createClient", "roles": [{"rolename": "device"}]}
        self._run_all([{**login, "username": token, "password": token} for token in tokens], "Client already exists")

    def delete(self, usernames: Collection[str]) -> None:
        """End logins and whatever is connected with them; one that does not exist is fine."""
        self._run_all([{"command": "deleteClient", "username": name} for name in usernames], "Client not found")

    def settings_are_right(self) -> bool:
        """Whether roles and defaults are as `document` has them."""
        ask = [{"command": "getRole", "rolename": name} for name in _ROLES]
        access, *roles = self._run([{"command": "getDefaultACLAccess"}, *ask], content_with="Role not found")
        found = [role["data"]["role"] for role in roles if "data" in role]
        return _comparable(access["data"]["acls"]) == _comparable(_DEFAULTS) and {
            role["rolename"]: _comparable(role["acls"]) for role in found
        } == {name: _comparable(acls) for name, acls in _ROLES.items()}

    def put_settings_right(self) -> None:
        """Set roles and defaults as `document` has them."""
        self._run([{"command": "setDefaultACLAccess", "acls": _DEFAULTS}])
        for name, acls in _ROLES.items():
            self._run([{"command": "createRole", "rolename": name}], content_with="Role already exists")
            self._run([{"command": "modifyRole", "rolename": name, "acls": acls}])

    def _run_all(self, commands: Sequence[dict[str, Any]], content_with: str) -> None:
        for start in range(0, len(commands), BATCH):
            self._run(commands[start : start + BATCH], content_with)

    def _run(self, commands: Sequence[dict[str, Any]], content_with: str = "") -> list[dict[str, Any]]:
        """Send commands in one message and return their answers; an error that is `content_with` is none."""
        self._client.publish(_COMMANDS, json.dumps({"commands": commands}), qos=1)
        answers: list[dict[str, Any]] = json.loads(self._answer())["responses"]
        for answer in answers:
            if answer.get("error", content_with) != content_with:
                raise BrokerError(f"{answer['command']}: {answer['error']}")
        return answers

    def _answer(self) -> bytes:
        try:
            answer = self._answers.get(timeout=_TIMEOUT_S)
        except queue.Empty:
            raise BrokerError(f"the broker has not answered for {_TIMEOUT_S} s") from None
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._lose(str(reason))
        else:
            client.subscribe(_ANSWERS)

    def _lose(self, reason: str) -> None:
        self._answers.put(BrokerError(f"connection to the broker lost: {reason}"))


def _comparable(acls: Iterable[dict[str, Any]]) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset(acl.items()) for acl in acls}
