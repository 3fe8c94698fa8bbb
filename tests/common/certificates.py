"""A throw-away certificate authority for tests."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.common.settings import ServiceSettings
from services.common.tls import TlsFiles


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Writes its own certificate to `ca.pem` in `folder`, and there what it issues."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("test authority", self._key.public_key(), authority=True)
        self.pem = certificate.public_bytes(Encoding.PEM)
        (folder / "ca.pem").write_bytes(self.pem)

    @property
    def ca(self) -> Path:
        return self._folder / "ca.pem"

    def issue(
        self,
        name: str,
        *,
        sans: tuple[x509.GeneralName, ...] | None = None,
        starts: timedelta = timedelta(minutes=-1),
        ends: timedelta = timedelta(hours=1),
    ) -> TlsFiles:
        """Files of a new certificate for `name`, which is its SAN too unless `sans` are given.

        Those of an earlier one are replaced, each at once. `starts` and `ends` are from now on.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), sans=sans, starts=starts, ends=ends)
        files = TlsFiles(self._folder / f"{name}.pem", self._folder / f"{name}.key", self.ca)
        replace_file(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        replace_file(files.certificate, certificate.public_bytes(Encoding.PEM))
        return files

    def settings(self, name: str, **changes: Any) -> ServiceSettings:
        """Settings of a service whose certificate carries `name`."""
        return settings_of(self.issue(name), **changes)

    def _sign(
        self,
        name: str,
        public: ec.EllipticCurvePublicKey,
        *,
        authority: bool = False,
        sans: tuple[x509.GeneralName, ...] | None = None,
        starts: timedelta = timedelta(minutes=-1),
        ends: timedelta = timedelta(hours=1),
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = (x509.DNSName(name),) if sans is None else sans
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("test authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + starts)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def settings_of(files: TlsFiles, **changes: Any) -> ServiceSettings:
    return ServiceSettings(
        tls_cert_file=files.certificate, tls_key_file=files.key, tls_ca_file=files.ca, **changes
    )


def replace_file(path: Path, data: bytes) -> None:
    """All of it at once, as a mounted secret is replaced."""
    path.with_suffix(".new").write_bytes(data)
    os.replace(path.with_suffix(".new"), path)
