"""Mutual TLS from three files, which are taken anew when they change.

Knows nothing of who may call what; names on certificates are compared by the interceptor.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from prometheus_client import Gauge

_log = logging.getLogger(__name__)

NOT_AFTER = Gauge("acesteps_tls_not_after_seconds", "When the own certificate in use expires, Unix time.")


@dataclass(frozen=True)
class Identity:
    """A certificate (leaf first), its key, and the CA whose certificates count: PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    ca: bytes
    not_after: float  # Unix time


class TlsFiles(NamedTuple):
    certificate: Path
    key: Path
    ca: Path

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when one of the files does. Raises OSError."""
        return tuple((s.st_mtime_ns, s.st_size, s.st_ino) for s in (path.stat() for path in self))

    def read(self) -> Identity:
        """Raises OSError; ValueError when a file is not what it should be or the key is another's."""
        certificate, key, ca = (path.read_bytes() for path in self)
        leaf, *_ = _certificates(self.certificate, certificate)
        _certificates(self.ca, ca)
        try:
            public = load_pem_private_key(key, password=None).public_key()
        except (TypeError, ValueError, UnsupportedAlgorithm):  # its words may quote the file
            raise ValueError(f"{self.key} holds no unencrypted private key in PEM") from None
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        if public.public_bytes(*form) != leaf.public_key().public_bytes(*form):
            raise ValueError(f"{self.key} is not the key of {self.certificate}")
        return Identity(certificate, key, ca, leaf.not_valid_after_utc.timestamp())


def _certificates(path: Path, pem: bytes) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError(f"{path} holds no certificate in PEM") from None


class IdentityFiles:
    """The newest good content of three files. Half-replaced or broken ones leave the last good in use."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises OSError and ValueError, as `TlsFiles.read`."""
        self._files, self._lock, self._complaint = files, threading.Lock(), ""
        self._stamp = files.stamp()
        self._identity = files.read()
        NOT_AFTER.set(self._identity.not_after)

    @property
    def identity(self) -> Identity:
        return self._identity

    def renewed(self) -> Identity | None:
        """What is in the files now, if that is good and new since the last call; else None. Any thread."""
        with self._lock:
            try:
                if (stamp := self._files.stamp()) == self._stamp:
                    return None
                identity = self._files.read()
            except (OSError, ValueError) as error:  # asked again at the next call
                if (complaint := str(error)) != self._complaint:
                    _log.error("renewed certificate refused, the last good one stays: %s", error)
                    self._complaint = complaint
                return None
            self._stamp, self._complaint = stamp, ""
            if identity == self._identity:  # touched, or written again
                return None
            self._identity = identity
            NOT_AFTER.set(identity.not_after)
            _log.info("renewed certificate taken")
            return identity


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that ask every client for a certificate of the CA and follow the files as they change.

    Raises:
        OSError, ValueError: the files cannot be used.
    """
    watched = IdentityFiles(files)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC, on threads of its own, at every handshake; None keeps what it has."""
        renewed = watched.renewed()
        return None if renewed is None else _configuration(renewed)

    # grpc documents None as "no change"; its type stubs do not.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", fetch)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(watched.identity), fetcher, require_client_authentication=True
    )


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(identity.key, identity.certificate)], root_certificates=identity.ca
    )


def channel_credentials(identity: Identity) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(identity.ca, identity.key, identity.certificate)
