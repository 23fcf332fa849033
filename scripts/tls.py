"""Make certificates to try TLS with on this machine: an authority of its own, and a server's certificate from it."""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS = 3650
_SERVER_DAYS = 90


def make_certificates(directory: Path, *hosts: str) -> None:
    """Fill a directory: ca.pem, which clients are to trust and which is kept, and a new server.pem and server.key.

    The server is localhost, 127.0.0.1, ::1 and the `hosts`. Keys are readable by their owner only.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authority_file, authority_key_file = directory / "ca.pem", directory / "ca.key"
    if not authority_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Almanac, certificates to try with")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = _builder(name, name, key, _AUTHORITY_DAYS).add_extension(constraints, critical=True)
        _write_key(authority_key_file, key)
        authority_file.write_bytes(certificate.sign(key, SHA256()).public_bytes(Encoding.PEM))

    authority = x509.load_pem_x509_certificate(authority_file.read_bytes())
    authority_key = load_pem_private_key(authority_key_file.read_bytes(), password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1")]
    names = [*(x509.DNSName(name) for name in sorted({"localhost", *hosts})), *addresses]
    certificate = (
        _builder(_name("localhost"), authority.subject, key, _SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    _write_key(directory / "server.key", key)
    (directory / "server.pem").write_bytes(certificate.sign(authority_key, SHA256()).public_bytes(Encoding.PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
