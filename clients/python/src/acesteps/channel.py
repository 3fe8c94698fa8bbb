"""Channels to a gateway: where it is, how it is spoken to, and who speaks.

Knows no RPC.
"""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

OPTIONS: tuple[tuple[str, Any], ...] = (
    # A gateway that vanished without a word is noticed within 40 seconds, in the middle of a stream too.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # One that comes back is found within two seconds, not after minutes of backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True)
class Tls:
    """PEM files; without any, the gateway is checked against the system's certificate authorities."""

    # Authorities to trust instead of the system's.
    ca_file: Path | str | None = None
    # This client's own certificate and its key, for gateways that ask for one. Both or neither.
    certificate_file: Path | str | None = None
    key_file: Path | str | None = None


@dataclass(frozen=True)
class Destination:
    """ "host:port" (or any other target of gRPC's), and how to get there."""

    target: str
    credentials: grpc.ChannelCredentials | None

    def channel(self) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(self.target, options=OPTIONS)
        return grpc.secure_channel(self.target, self.credentials, options=OPTIONS)

    def aio_channel(self) -> grpc.aio.Channel:
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.target, options=OPTIONS)
        return grpc.aio.secure_channel(self.target, self.credentials, options=OPTIONS)


def destination(target: str, tls: Tls | bool | None) -> Destination:
    """None means TLS everywhere but on this machine: an API key crosses no network in the clear by accident.

    Raises:
        ValueError: the target names no port, or only one of certificate and key is given.
        OSError: a PEM file cannot be read.
    """
    if not target or target.endswith(":") or ":" not in target or "//" in target.removeprefix("dns:///"):
        raise ValueError(f"target is {target!r}, not host:port")
    if tls is None:
        tls = not _on_this_machine(target)
    if tls is False:
        return Destination(target, None)
    return Destination(target, _credentials(Tls() if tls is True else tls))


def call_metadata(api_key: str) -> tuple[tuple[str, str], ...]:
    """What says, with every call, who makes it.

    Raises:
        ValueError: the key holds what no header can.
    """
    if not api_key:
        return ()
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ValueError("the API key holds characters that no API key has")
    return (("authorization", f"Bearer {api_key}"),)


def _on_this_machine(target: str) -> bool:
    if target.startswith("unix:"):
        return True
    host = target.removeprefix("dns:///").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    if (tls.certificate_file is None) != (tls.key_file is None):
        raise ValueError("a certificate and its key go together")
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file or ssl.get_default_verify_paths().cafile),
        private_key=_read(tls.key_file),
        certificate_chain=_read(tls.certificate_file),
    )


def _read(path: Path | str | None) -> bytes | None:
    """None where there is no path; gRPC then takes the authorities that it brings along."""
    return None if path is None else Path(path).read_bytes()
