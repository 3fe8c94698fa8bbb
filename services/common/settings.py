"""Typed settings from the environment. An unknown or invalid one stops the start with one clear line.

Knows what every service has: where it listens, TLS, draining, logs. Each service adds its own fields.
A secret may be a file instead: named as the setting in lower case, in the folder ACESTEPS_SECRETS_DIR.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NoReturn, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.common.tls import TlsFiles

Port = Annotated[int, Field(ge=0, le=65535)]


def _split(value: object) -> object:
    return tuple(p.strip() for p in value.split(",") if p.strip()) if isinstance(value, str) else value


# Comma-separated in the environment.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class ServiceSettings(BaseSettings):
    """Fields are read from `<PREFIX><FIELD>`; the prefix is the service's, for example `MUSIC_`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True
    )

    # A service that not everybody in the mesh may call does not run in production without its list.
    lists_callers: ClassVar[bool] = False

    environment: Literal["development", "production"] = "development"
    """"production" refuses what is only fit for a laptop: plaintext, development accounts."""
    grpc_host: str = "127.0.0.1"
    """Address that gRPC listens on."""
    grpc_port: Port = 0
    """Port that gRPC listens on; 0 takes any free one."""
    max_request_bytes: Annotated[int, Field(ge=1024, le=64 << 20)] = 4 << 20
    """Longest message that gRPC takes in."""
    metrics_host: str = "127.0.0.1"
    """Address of the Prometheus metrics."""
    metrics_port: Port = 0
    """Port of the Prometheus metrics; 0 serves none."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is logged."""
    tls_cert_file: Path | None = None
    """Own certificate (PEM). With key and CA, every client is asked for a certificate of that CA."""
    tls_key_file: Path | None = None
    """Key of the certificate (PEM)."""
    tls_ca_file: Path | None = None
    """CA whose certificates count (PEM)."""
    allowed_callers: Names = ()
    """Certificate SANs that may call, comma-separated; empty: any certificate of the CA."""
    health_port: Port = 0
    """Port that serves health, and nothing else, in plaintext: for probes that know no TLS; 0 serves none."""
    drain_delay_s: Annotated[float, Field(ge=0, le=300)] = 0.0
    """After SIGTERM: seconds that not-ready is shown before new calls are refused."""
    drain_grace_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds that running calls then have to end."""

    @model_validator(mode="after")
    def _tls_whole(self) -> Self:
        files = (self.tls_cert_file, self.tls_key_file, self.tls_ca_file)
        if any(files) and not all(files):
            raise ValueError("tls_cert_file, tls_key_file and tls_ca_file go together")
        if self.environment == "production" and not all(files):
            raise ValueError("production needs tls_cert_file, tls_key_file and tls_ca_file")
        return self

    @model_validator(mode="after")
    def _callers_known(self) -> Self:
        if self.allowed_callers and self.tls is None:
            raise ValueError("allowed_callers are names on certificates; it needs tls_cert_file")
        if self.environment == "production" and self.lists_callers and not self.allowed_callers:
            raise ValueError("production needs allowed_callers")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """Certificate, key and CA, or None for plaintext."""
        if self.tls_cert_file and self.tls_key_file and self.tls_ca_file:
            return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_ca_file)
        return None

    @property
    def served_tls(self) -> TlsFiles | None:
        """What the own gRPC port is served with: `tls`, unless a service has TLS ended elsewhere."""
        return self.tls


S = TypeVar("S", bound=ServiceSettings)

SECRETS_DIR = "ACESTEPS_SECRETS_DIR"


def load_settings(cls: type[S], arguments: Sequence[str] | None = None) -> S:
    """The settings of this process; on a bad one, one line on stderr and exit 2. `--help` lists them."""
    _parser(cls).parse_args(arguments)
    prefix = cls.model_config.get("env_prefix", "")
    known = {f"{prefix}{name}".upper() for name in cls.model_fields}
    folder = os.environ.get(SECRETS_DIR) or None
    try:
        given = [*os.environ, *(os.listdir(folder) if folder else ())]
    except OSError as error:
        _stop(f"{SECRETS_DIR}: {folder}: {error.strerror}")
    unknown = sorted(name for name in given if name.upper().startswith(prefix) and name.upper() not in known)
    if unknown:
        _stop(f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return cls(_secrets_dir=folder)
    except ValidationError as error:
        _stop(
            "; ".join(
                _complaint(prefix, dict(e)) for e in error.errors(include_url=False, include_input=False)
            )
        )


def read_setting(name: str) -> str:
    """One setting for a command that needs no more, from the environment or its file; "" for neither.

    Raises OSError when there is a file that cannot be read.
    """
    if value := os.environ.get(name, ""):
        return value
    folder = os.environ.get(SECRETS_DIR)
    file = Path(folder or "", name.lower())
    return file.read_text().strip() if folder and file.is_file() else ""


def _parser(cls: type[ServiceSettings]) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m {cls.__module__.removesuffix('.settings')}",
        description="Settings come from the environment.",
        epilog="\n".join(f"{name}\n    {text}" for name, text in describe(cls).items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def describe(cls: type[ServiceSettings]) -> dict[str, str]:
    """Every setting of a service: its environment variable, and what it is, with the default."""
    prefix = cls.model_config.get("env_prefix", "")
    return {
        f"{prefix}{name}".upper(): f"{field.description or ''} "
        + ("(required)" if field.is_required() else f"(default: {_shown(field)})")
        for name, field in cls.model_fields.items()
    }


def _shown(field: FieldInfo) -> str:
    if field.default_factory is not None:  # depends on the machine
        return getattr(field.default_factory, "__name__", "computed")
    return "none" if field.default in (None, (), "") else f"{field.default}"


def _complaint(prefix: str, error: dict[str, object]) -> str:
    location = error.get("loc")
    name = (
        f"{prefix}{location[0]}".upper() if isinstance(location, tuple) and location else prefix.rstrip("_")
    )
    return f"{name}: {error.get('msg')}"


def _stop(line: str) -> NoReturn:
    print(f"settings: {line}", file=sys.stderr)
    raise SystemExit(2)
