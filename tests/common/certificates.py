"""A throw-away certificate authority for tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.common.settings import ServiceSettings


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("test authority", self._key.public_key(), authority=True)
        (folder / "ca.pem").write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def settings(self, name: str, **changes: Any) -> ServiceSettings:
        """Settings of a service whose certificate carries `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / f"{name}.key").write_bytes(pem)
        (self._folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        return ServiceSettings(
            tls_cert_file=self._folder / f"{name}.pem",
            tls_key_file=self._folder / f"{name}.key",
            tls_ca_file=self._folder / "ca.pem",
            **changes,
        )

    def _sign(
        self, name: str, public: ec.EllipticCurvePublicKey, *, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("test authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
