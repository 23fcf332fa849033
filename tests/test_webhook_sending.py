"""To which addresses webhooks are sent: to those of the public internet, and for some seconds at most."""

import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from caller import Caller
from receiver import Receiver, Work, make, try_out

from app.webhooks import sending
from scripts.tls import make_certificates

# What only an attacker would name; the last ones hold an IPv4 address in an IPv6 one.
OURS = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::7f00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.usefixtures("loopback_is_public")
def test_a_redirect_is_not_followed(user: Caller, work: Work, receiver: Receiver) -> None:
    webhook, elsewhere = make(user, receiver), Receiver()
    elsewhere.start()
    receiver.status, receiver.location = 307, elsewhere.url

    delivery = try_out(user, webhook, work)
    elsewhere.stop()

    assert elsewhere.requests == []
    assert delivery["state"] == "pending"
    assert "redirects are not followed" in delivery["error"]


@pytest.mark.parametrize("address", OURS)
def test_no_address_of_our_own_network_is_public(address: str) -> None:
    assert not sending.is_public(address)


def test_addresses_of_the_internet_are_public() -> None:
    assert all(sending.is_public(address) for address in ("93.184.216.34", "2606:4700:4700::1111"))


def test_a_name_that_stands_for_this_machine_is_sent_nothing(user: Caller, work: Work, receiver: Receiver) -> None:
    delivery = try_out(user, make(user, receiver), work)

    assert receiver.requests == []
    assert "is no address of the public internet" in delivery["error"]


@pytest.mark.parametrize("answers", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]])
def test_a_name_with_one_address_of_ours_is_sent_nothing(
    user: Caller, work: Work, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    """As a name server would have it that wants the second address to be tried."""

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in answers]

    webhook = make(user, receiver, url=receiver.url.replace("localhost", "rebinding.example"))
    monkeypatch.setattr("app.webhooks.sending.socket.getaddrinfo", look_up)
    with pytest.raises(sending.SendError, match=r"127\.0\.0\.1"):
        sending.post(webhook["url"], {}, b"")

    assert receiver.requests == []


def test_a_name_server_that_changes_its_answer_gains_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked: list[str] = []
    reached: list[Any] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    class Wire(socket.socket):
        def connect(self, address: Any) -> None:
            reached.append(address[0])
            raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr("app.webhooks.sending.socket.getaddrinfo", look_up)
    monkeypatch.setattr("app.webhooks.sending.socket.socket", Wire)
    with pytest.raises(sending.SendError, match="nobody there"):
        sending.post(receiver.url.replace("localhost", "rebinding.example"), {}, b"")

    assert (asked, reached) == (["rebinding.example"], ["93.184.216.34"])


@pytest.mark.usefixtures("loopback_is_public")
def test_a_receiver_that_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(sending.SendError):
        sending.post(f"http://localhost:{silent.getsockname()[1]}/", {}, b"")


@pytest.mark.usefixtures("loopback_is_public")
def test_over_tls_only_a_receiver_with_a_certificate_that_is_trusted_gets_anything(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificates(tmp_path)
    receiver.speak_tls(tmp_path / "server.pem", tmp_path / "server.key")
    url = receiver.url.replace("http:", "https:")

    with pytest.raises(sending.SendError, match="certificate"):
        sending.post(url, {}, b"{}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    assert 200 <= sending.post(url, {}, b"{}") < 300
    assert [request.body for request in receiver.requests] == [b"{}"]


@pytest.mark.usefixtures("loopback_is_public")
def test_a_receiver_whose_handshake_never_ends_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_S", 0.5)

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")  # of TLS: a handshake message of 16 KB begins
            while True:
                connection.sendall(b"\0")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=drip, args=[server], daemon=True).start()
        started = time.monotonic()
        with pytest.raises(sending.SendError):
            sending.post(f"https://localhost:{server.getsockname()[1]}/", {}, b"")

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://",
        "https://ana:secret@example.org/",
        "http://192.168.1.1/admin",
        "http://[::1]/",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nX: y",
    ],
)
def test_what_is_no_public_address_is_refused(user: Caller, url: str) -> None:
    answer = user.post("/v0/webhooks", {"url": url})

    assert answer.status_code == 422
    assert "url" in answer.json["errors"]
