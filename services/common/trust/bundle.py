"""The trust bundle: which attestation keys count, from when to when, and for what.

A JSON file with a version. Knows nothing of envelopes, nor of the versions before.
"""

import base64
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from services.common.provenance import key_id_of, strict_json

_Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TrustedKey(BaseModel):
    """One pod key: window of validity, and what it may attest."""

    # strict: a version "3" or a time 0 was not written by what writes bundles
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    key_id: _Hex64
    # raw 32 bytes, base64
    public_key: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    # From then on nothing by this key counts, whenever it says it was made: a stolen key can backdate.
    revoked_at: AwareDatetime | None = None
    engines: tuple[str, ...]
    weights_digests: tuple[_Hex64, ...]
    adapter_digests: tuple[_Hex64, ...] = ()
    tasks: tuple[str, ...]

    @field_validator("public_key")
    @classmethod
    def _raw_32(cls, value: str) -> str:
        if len(base64.b64decode(value, validate=True)) != 32:
            raise ValueError("not 32 bytes in base64")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if key_id_of(self.public_key_bytes) != self.key_id:
            raise ValueError("key_id is not the sha256 of public_key")
        if self.not_before >= self.not_after:
            raise ValueError("not_before is not before not_after")
        return self

    @property
    def public_key_bytes(self) -> bytes:
        return base64.b64decode(self.public_key)

    def revoked(self, now: datetime) -> bool:
        return self.revoked_at is not None and self.revoked_at <= now


class TrustBundle(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[int, Field(ge=1, le=2**53 - 1)]
    keys: tuple[TrustedKey, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({key.key_id for key in self.keys}) != len(self.keys):
            raise ValueError("a key_id is listed twice")
        return self

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises ValueError for anything but a well-formed bundle."""
        try:
            strict_json(data)  # repeated keys, which pydantic would let pass
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def by_id(self) -> Mapping[str, TrustedKey]:
        return {key.key_id: key for key in self.keys}

    def save(self, path: Path) -> None:
        write_atomically(path, self.model_dump_json(indent=2).encode() + b"\n")


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` whole or not at all, also through a crash."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
