"""Sites that talk over TLS, as README.md has it: whom they trust, whom they refuse, and what nobody gets to read."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import suite_log
from postgres_servers import give_away, tls_binaries
from sites import Site, column, new_device, new_sites, send, settle, site_sees
from waiting import wait_for

from app.accounts import create_account
from scripts.tls import make_certificates

PASSWORD = "never-to-be-read"
NAMES = {1: "first.example.org", 2: "second.example.org"}
# Without these lines a server would take connections that are not encrypted, too.
HBA = "hostssl all peer all scram-sha-256\nhost all peer all reject\nhost all almanac 127.0.0.1/32 trust\n"


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Site]]:
    """Two platforms with certificates of one authority, which let other sites in with a password over TLS."""
    with new_sites(2, binaries=tls_binaries()) as pair:
        for site in pair:
            make_certificates(ours(site), NAMES[site.number])
            make_certificates(strangers(site), NAMES[site.number])
            present_certificate_of(site, ours(site))
            for authority in (ours(site), strangers(site)):
                give_away(authority)
                give_away(authority / "ca.pem")
            (site.server.directory / "pg_hba.conf").write_text(HBA)
            site.server.execute(f"CREATE ROLE peer SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            site.server.set(ssl="on", log_statement="all", log_min_duration_statement="0")
            site.url = address(site)
        yield pair


def ours(site: Site) -> Path:
    return site.server.directory.parent / "ours"


def strangers(site: Site) -> Path:
    """Certificates for the same names, of somebody else's authority."""
    return site.server.directory.parent / "strangers"


def present_certificate_of(site: Site, authority: Path) -> None:
    make_certificates(authority, NAMES[site.number])
    for name, server_name in (("server.pem", "server.crt"), ("server.key", "server.key")):
        (site.server.directory / server_name).unlink(missing_ok=True)
        shutil.copy(authority / name, site.server.directory / server_name)
        (site.server.directory / server_name).chmod(0o600)
        give_away(site.server.directory / server_name)
    site.server.execute("SELECT pg_reload_conf()")


def address(site: Site, *, name: str = "", trusting: Path | None = None) -> str:
    """How others reach a site; its name leads to this machine."""
    return (
        f"postgresql://peer:{PASSWORD}@{name or NAMES[site.number]}:{site.proxy.port}/postgres"
        f"?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={trusting or ours(site)}/ca.pem"
    )


def test_a_site_is_joined_over_tls_with_trust_on_both_sides_or_not_at_all(pair: list[Site]) -> None:
    one, two = pair
    owner = create_account(one.conn, username="owner", email="owner@example.org", password="correct horse")
    device_id = new_device(one, owner)
    for site in pair:
        site.run("site", "init", "--id", str(site.number), "--of", "2")

    said = {}
    for what, url in {
        "no TLS": address(one).replace("verify-full", "prefer"),
        "no TLS, on one machine": f"postgresql://peer:{PASSWORD}@127.0.0.1:{one.proxy.port}/postgres?sslmode=disable",
        "another authority": address(one, trusting=strangers(one)),
        "another name": address(one, name=NAMES[2]),
        "no address": f"postgresql//peer:{PASSWORD}@{NAMES[1]}",
    }.items():
        said[what] = two.run("site", "join", url, fails=True)
    said["no trust in us"] = two.run(
        "site", "join", address(one), "--own-url", address(two, trusting=strangers(two)), fails=True
    )

    # What a site that left and was not reached has forgotten here: the second of two links is refused.
    left_behind = column(one, "SELECT slot_name FROM pg_create_logical_replication_slot('almanac_to_2', 'pgoutput')")
    said["a slot left behind"] = two.run("site", "join", address(one), fails=True)
    assert column(one, "SELECT subname FROM pg_subscription") == []
    one.run("site", "leave", "2")

    for what, reason in {
        "no TLS": "the connection to first.example.org would not be encrypted: add ?sslmode=verify-full",
        "no TLS, on one machine": "no encryption",
        "another authority": "certificate verify failed",
        "another name": 'does not match host name "second.example.org"',
        "no address": "an address is like postgresql://user:password@host",
        "no trust in us": "the server of site 1 does not reach that of site 2: ",
        "a slot left behind": f'replication slot "{left_behind[0]}" already exists',
    }.items():
        assert reason in said[what]
    assert "certificate verify failed" in said["no trust in us"]
    for site in pair:
        for query in ("SELECT subname FROM pg_subscription", "SELECT slot_name FROM pg_replication_slots"):
            assert column(site, query) == []

    said["joined"] = two.run("site", "join", address(one))
    send(two, device_id, {(55, 1): 21.5})
    settle(pair)

    assert column(one, "SELECT value FROM datapoints") == [21.5]
    for site in pair:
        assert column(site, "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") == [True]
        (kept,) = column(site, "SELECT subconninfo FROM pg_subscription")
        assert f"sslmode=verify-full&sslrootcert={ours(site)}" in kept
        said[f"status {site.number}"] = site.run("site", "status")
        said[f"check {site.number}"] = site.run("site", "check")
    log = "\n".join(map(str, suite_log.lines))
    assert "could not connect to the publisher" in log
    # What is in the servers' logs of all statements, but for the one by which the role was made here.
    unread = [line for line in log.splitlines() if PASSWORD in line and "CREATE ROLE" not in line]
    assert unread == []
    assert not [what for what, text in said.items() if PASSWORD in text]


def test_a_site_that_comes_with_the_certificate_of_another_authority_is_heard_no_more(pair: list[Site]) -> None:
    one, two = pair
    present_certificate_of(one, strangers(one))
    one.proxy.cut()

    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(address(one))
    wait_for(lambda: "not received from" in two.run("site", "status"))
    wait_for(lambda: any("apply worker" in str(line) and "certificate verify" in str(line) for line in suite_log.lines))
    assert "certificate verify failed" in two.run("site", "check", fails=True)
    send(one, 1, {(55, 2): 22.5})
    present_certificate_of(one, ours(one))
    site_sees(two, "SELECT EXISTS (SELECT FROM datapoints WHERE value = 22.5)")
