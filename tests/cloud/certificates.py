"""Certificates for tests, made on the spot."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files; `subject` is the certificate's common name."""

    certificate: Path
    key: Path
    subject: str


class Authority:
    """A certificate authority whose files lie in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(_pem(self._sign(name, self._key, days=(-1, 1), names=None)))

    def issue(self, subject: str, *, days: tuple[float, float] = (-1, 1), names: tuple[str, ...] = ()) -> Pair:
        """A certificate valid from and until so many days from now, for these host names beside its common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        pair = Pair(self._folder / f"{subject}.pem", self._folder / f"{subject}.key", subject)
        pair.certificate.write_bytes(_pem(self._sign(subject, key, days, names)))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def server(self, subject: str = "server", days: tuple[float, float] = (-1, 1)) -> Pair:
        """A server's, for this machine."""
        return self.issue(subject, days=days, names=("localhost", "127.0.0.1"))

    def _sign(
        self, subject: str, key: ec.EllipticCurvePrivateKey, days: tuple[float, float], names: tuple[str, ...] | None
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names:
            alternative = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
