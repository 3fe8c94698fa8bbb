"""Mutual TLS from three files. Servers take renewed certificates without a restart.

Knows nothing of who may call what; names on certificates are compared by the interceptor.
"""

from pathlib import Path

import grpc


def server_credentials(certificate: Path, key: Path, ca: Path) -> grpc.ServerCredentials:
    """Credentials that ask every client for a certificate of `ca` and follow the files as they change."""
    files = (certificate, key, ca)

    def read() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())], root_certificates=ca.read_bytes()
        )

    def stamp() -> tuple[int, ...]:
        return tuple(f.stat().st_mtime_ns for f in files)

    current, last = read(), stamp()

    def fetch() -> grpc.ServerCertificateConfiguration:
        """Called by gRPC at every handshake."""
        nonlocal current, last
        try:
            if (now := stamp()) != last:
                current, last = read(), now
        except OSError:  # the files are being replaced: the next handshake finds them
            pass
        return current

    return grpc.dynamic_ssl_server_credentials(current, fetch, require_client_authentication=True)


def channel_credentials(certificate: Path, key: Path, ca: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), certificate.read_bytes())
