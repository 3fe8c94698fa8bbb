"""A certificate authority for one machine: its key in one folder, certificates for the services in theirs.

Knows X.509. On a cluster this is cert-manager's work.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=60)
# For clocks that are behind.
EARLIER = timedelta(minutes=5)


class Authority:
    """Signs for the names it is asked for. Made in `folder` unless it is there."""

    def __init__(self, folder: Path) -> None:
        key_file, certificate_file = folder / "ca.key", folder / "ca.pem"
        if not certificate_file.exists():
            self._key = ec.generate_private_key(ec.SECP256R1())
            _write_key(key_file, self._key)
            certificate_file.write_bytes(self._sign("AceSteps", self._key, life=AUTHORITY_LIFE, ca=True))
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} is not a key that this authority made")
        self._key = key
        self.pem = certificate_file.read_bytes()

    def ensure(self, folder: Path, name: str) -> bool:
        """`tls.pem`, `tls.key` and `ca.pem` in `folder`, made anew when they are missing or run out.

        Returns whether they were.
        """
        certificate_file = folder / "tls.pem"
        (folder / "ca.pem").write_bytes(self.pem)
        if certificate_file.exists():
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            if certificate.not_valid_after_utc > datetime.now(UTC) + RENEW_BEFORE:
                return False
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(folder / "tls.key", key)
        certificate_file.write_bytes(self._sign(name, key))
        return True

    def _sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, life: timedelta = LIFE, ca: bool = False
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("AceSteps"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLIER)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        )
        if not ca:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
