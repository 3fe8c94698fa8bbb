"""What a pod says of a song it made, and how that is written down and signed.

An in-toto Statement v1 (predicate type `acesteps/song/v1`) in a DSSE envelope, signed with Ed25519. Knows the
bytes; who is trusted to say so is in `services.common.trust`.
Sources: in-toto Attestation Framework v1, DSSE v1.0.2, RFC 8032, RFC 8785.
"""

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "acesteps/song/v1"

MAX_JSON_DEPTH = 64
# A string may end with the input, so that no input is scanned twice.
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class SongStatement:
    """One finished song, as its pod attests it. Digests are raw bytes, named digests lower-case hex."""

    song_id: str
    audio_sha256: bytes
    audio_cid: str
    # 16-bit little-endian interleaved stereo at 44.1 kHz
    pcm_sha256: bytes
    state_sha256: bytes
    task: str
    # of the song that this one was made from; None for text2music
    source_audio_sha256: bytes | None
    engine: str
    engine_version: str
    weights_digest: str
    adapter_digests: tuple[str, ...] = ()
    request_digest: str
    # EIP-55, or "" when nobody may mint it
    creator_address: str
    media_type: str
    audio_bytes: int
    duration_s: float
    seed: int
    started_at: datetime
    finished_at: datetime
    pod_id: str

    def to_json(self) -> bytes:
        """The in-toto statement as RFC 8785 JSON."""
        return rfc8785.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": self.song_id, "digest": {"sha256": self.audio_sha256.hex()}}],
                "predicateType": PREDICATE_TYPE,
                "predicate": {
                    "audio_cid": self.audio_cid,
                    "pcm_sha256": self.pcm_sha256.hex(),
                    "state_sha256": self.state_sha256.hex(),
                    "task": self.task,
                    "source_audio_sha256": self.source_audio_sha256.hex()
                    if self.source_audio_sha256
                    else None,
                    "engine": self.engine,
                    "engine_version": self.engine_version,
                    "weights_digest": self.weights_digest,
                    "adapter_digests": list(self.adapter_digests),
                    "request_digest": self.request_digest,
                    "creator_address": self.creator_address,
                    "media_type": self.media_type,
                    "audio_bytes": self.audio_bytes,
                    "duration_s": self.duration_s,
                    "seed": self.seed,
                    "started_at": _rfc3339(self.started_at),
                    "finished_at": _rfc3339(self.finished_at),
                    "pod_id": self.pod_id,
                },
            }
        )

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Read a statement strictly.

        Raises:
            ValueError: unknown, missing, repeated or ill-typed fields; anything that is not this format.
        """
        read = _Fields(strict_json(payload))
        read.expect("_type", STATEMENT_TYPE)
        read.expect("predicateType", PREDICATE_TYPE)
        subjects = read.take("subject", list)
        if len(subjects) != 1:
            raise ValueError(f"subject has {len(subjects)} entries, not 1")
        subject, predicate = _Fields(subjects[0]), _Fields(read.take("predicate", dict))
        digest = _Fields(subject.take("digest", dict))
        source = predicate.take("source_audio_sha256", str, type(None))
        adapters = predicate.take("adapter_digests", list)
        if not all(isinstance(a, str) for a in adapters):
            raise ValueError("adapter_digests holds something else than text")
        statement = cls(
            song_id=subject.take("name", str),
            audio_sha256=_sha256(digest.take("sha256", str)),
            audio_cid=predicate.take("audio_cid", str),
            pcm_sha256=_sha256(predicate.take("pcm_sha256", str)),
            state_sha256=_sha256(predicate.take("state_sha256", str)),
            task=predicate.take("task", str),
            source_audio_sha256=None if source is None else _sha256(source),
            engine=predicate.take("engine", str),
            engine_version=predicate.take("engine_version", str),
            weights_digest=predicate.take("weights_digest", str),
            adapter_digests=tuple(adapters),
            request_digest=predicate.take("request_digest", str),
            creator_address=predicate.take("creator_address", str),
            media_type=predicate.take("media_type", str),
            audio_bytes=predicate.take("audio_bytes", int),
            duration_s=_number(predicate.take("duration_s", int, float)),
            seed=predicate.take("seed", int),
            started_at=_time(predicate.take("started_at", str)),
            finished_at=_time(predicate.take("finished_at", str)),
            pod_id=predicate.take("pod_id", str),
        )
        for fields in (read, subject, digest, predicate):
            fields.end()
        return statement


@dataclass(frozen=True)
class AttestationKey:
    """A pod's Ed25519 key. Its id is the sha256 of the raw public key."""

    _private: Ed25519PrivateKey = field(repr=False)
    key_id: str

    @classmethod
    def new(cls) -> Self:
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ValueError when `path` does not hold an unencrypted PKCS #8 Ed25519 key in PEM."""
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or of a kind unknown to the library
            raise ValueError(f"{path} holds no unencrypted Ed25519 key: {error}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key")
        return cls._of(private)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> Self:
        return cls(private, key_id_of(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)))

    @property
    def public_key(self) -> bytes:
        """Raw, 32 bytes."""
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def save(self, path: Path) -> None:
        """Write PEM, readable by the owner only. Raises FileExistsError rather than overwrite a key."""
        pem = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)

    def public_pem(self) -> bytes:
        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return self._private.sign(message)


def load_public_key(path: Path) -> bytes:
    """The raw public key (32 bytes) in a PEM file that holds it, or its private key.

    Raises:
        OSError; ValueError when there is no Ed25519 key in it.
    """
    pem = path.read_bytes()
    if b"PRIVATE KEY" in pem:
        return AttestationKey.load(path).public_key
    try:
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path} holds no key in PEM") from error
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError(f"{path} holds no Ed25519 key")
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id_of(public_key: bytes) -> str:
    """Key id of a raw Ed25519 public key: its sha256, hex."""
    return hashlib.sha256(public_key).hexdigest()


def attest(statement: SongStatement, key: AttestationKey) -> bytes:
    """The DSSE envelope (JSON) of a statement, signed."""
    payload = statement.to_json()
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return rfc8785.dumps(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key.key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs (PAE): both parts with their lengths, so that neither can be read as the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raises cryptography.exceptions.InvalidSignature."""
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)


def request_digest(fields: Mapping[str, Any]) -> str:
    """sha256 (hex) of the RFC 8785 JSON of a request's normalised fields."""
    return hashlib.sha256(rfc8785.dumps(dict(fields))).hexdigest()


def version_digest(version: str) -> str:
    """What an engine without weights gives as its weights digest: sha256 (hex) of its version."""
    return hashlib.sha256(version.encode()).hexdigest()


def strict_json(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8, at most 64 deep, without repeated keys, NaN, infinities or half surrogates.

    Raises:
        ValueError: for anything else.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        if len(out) != len(items):
            raise ValueError("a key is repeated")
        return out

    def constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")

    def finite(digits: str) -> float:
        if not math.isfinite(number := float(digits)):
            raise ValueError("a number is too large")
        return number

    _check_depth(data)
    value = json.loads(
        data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=finite
    )
    if b"\\ud" in data.lower():  # the only way to write half a surrogate pair (RFC 7493)
        json.dumps(value, ensure_ascii=False).encode()
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _check_depth(data: bytes) -> None:
    """Raises ValueError for JSON nested deeper than `MAX_JSON_DEPTH`.

    Before it is parsed: the parser recurses in C, and where something has raised Python's recursion limit, as
    libraries do, deep nesting would end the process instead of raising RecursionError.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise ValueError("nested too deep")
        elif first in b"]}":
            depth -= 1


class _Fields:
    """Takes fields out of a JSON object one by one, so that what is left over shows."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ValueError("an object was expected")
        self._left: dict[str, Any] = dict(fields)

    def take(self, name: str, *types: type) -> Any:
        if name not in self._left:
            raise ValueError(f"{name} is missing")
        value = self._left.pop(name)
        if type(value) not in types:  # exact: True is no number here
            raise ValueError(f"{name} has the wrong type")
        return value

    def expect(self, name: str, value: str) -> None:
        if self.take(name, str) != value:
            raise ValueError(f"{name} is not {value}")

    def end(self) -> None:
        if self._left:
            raise ValueError(f"unknown field {sorted(self._left)[0]!r}")


def _sha256(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != 32 or digest.hex() != text:
        raise ValueError("not a lower-case sha256")
    return digest


def _number(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("a number is too large") from error


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0) or _rfc3339(moment) != text:
        raise ValueError("a time is not RFC 3339 in UTC with microseconds")
    return moment
