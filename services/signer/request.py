"""A permit request as a value: every field of exact type and length before any rule or encoding sees it.

Knows the shape of the fields; whether the request deserves a signature is `policy`'s question.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.address import checksum_address
from services.common.cid import digest_of_raw_cid
from services.common.errors import InvalidField

MAX_ENVELOPES = 32
MAX_ENVELOPE_BYTES = 64 * 1024
MAX_METADATA_BYTES = 256 * 1024
IPFS_SCHEME = "ipfs://"
_URI_CHARACTERS = len(IPFS_SCHEME) + 59  # "b" and 58 base32 digits
_ADDRESS_CHARACTERS = 42  # "0x" and 40 hex digits
MAX_CHAIN_ID = 2**63 - 37  # EIP-2294

T = TypeVar("T")


class PermitFormat(StrEnum):
    EIP712 = "eip712"
    PACKED = "packed"


_FORMATS: Mapping[int, PermitFormat] = {
    pb.PERMIT_FORMAT_UNSPECIFIED: PermitFormat.EIP712,
    pb.PERMIT_FORMAT_EIP712: PermitFormat.EIP712,
    pb.PERMIT_FORMAT_PACKED: PermitFormat.PACKED,
}


@dataclass(frozen=True)
class PermitRequest:
    """What a caller asks to have signed. Addresses are 20 bytes, `audio_hash` and `metadata_digest` 32."""

    envelopes: tuple[bytes, ...]
    to: bytes
    metadata_uri: str
    metadata_digest: bytes
    metadata: bytes
    audio_hash: bytes
    format: PermitFormat
    chain_id: int
    contract: bytes


def read_request(message: pb.SignMintPermitRequest) -> PermitRequest:
    """The request as a value.

    Raises:
        InvalidField: REQUIRED, TOO_LONG, MALFORMED or UNKNOWN_VALUE, naming the field and its limit.
    """
    _required("envelopes", len(message.envelopes), MAX_ENVELOPES, "envelopes")
    for i, envelope in enumerate(message.envelopes):
        _required(f"envelopes[{i}]", len(envelope), MAX_ENVELOPE_BYTES, "bytes")
    to = address_bytes(message.to, "to")
    metadata_digest = _digest_in_uri(message.metadata_uri)
    _required("metadata", len(message.metadata), MAX_METADATA_BYTES, "bytes")
    return PermitRequest(
        envelopes=tuple(message.envelopes),
        to=to,
        metadata_uri=message.metadata_uri,
        metadata_digest=metadata_digest,
        metadata=message.metadata,
        audio_hash=hash_bytes(message.audio_hash, "audio_hash"),
        format=_format(message.format),
        chain_id=_chain_id(message.chain_id),
        contract=address_bytes(message.contract, "contract"),
    )


@dataclass(frozen=True)
class Legible:
    """The same of a request that may be malformed: what is well formed of it, None where it is not."""

    audio_hash: bytes | None
    to: bytes | None
    metadata_uri: str | None
    format: PermitFormat | None
    chain_id: int | None
    contract: bytes | None


def legible(message: pb.SignMintPermitRequest) -> Legible:
    """What can be told of any request, for the audit."""
    return Legible(
        audio_hash=_or_none(lambda: hash_bytes(message.audio_hash, "audio_hash")),
        to=_or_none(lambda: address_bytes(message.to, "to")),
        metadata_uri=_or_none(lambda: message.metadata_uri if _digest_in_uri(message.metadata_uri) else None),
        format=_or_none(lambda: _format(message.format)),
        chain_id=_or_none(lambda: _chain_id(message.chain_id)),
        contract=_or_none(lambda: address_bytes(message.contract, "contract")),
    )


def legible_request(request: PermitRequest) -> Legible:
    """The same of a request that is well formed."""
    return Legible(
        audio_hash=request.audio_hash,
        to=request.to,
        metadata_uri=request.metadata_uri,
        format=request.format,
        chain_id=request.chain_id,
        contract=request.contract,
    )


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except InvalidField:
        return None


def hash_bytes(value: bytes, field: str) -> bytes:
    """The same 32 bytes.

    Raises:
        InvalidField: REQUIRED, TOO_LONG or MALFORMED.
    """
    _required(field, len(value), 32, "bytes")
    if len(value) != 32:
        text = f"{field} has {len(value)} bytes, not 32"
        raise InvalidField("MALFORMED", field, text, limit="exactly 32 bytes")
    return value


def _format(value: int) -> PermitFormat:
    if value not in _FORMATS:
        text = f"format {value} is not known"
        raise InvalidField("UNKNOWN_VALUE", "format", text, limit="PERMIT_FORMAT_EIP712 or _PACKED")
    return _FORMATS[value]


def _chain_id(value: int) -> int:
    limit = f"1 to {MAX_CHAIN_ID}"
    if value == 0:
        raise InvalidField("REQUIRED", "chain_id", "chain_id is missing", limit=limit)
    if value > MAX_CHAIN_ID:
        raise InvalidField("MALFORMED", "chain_id", f"{value} is no chain id", limit=limit)
    return value


def address_bytes(text: str, field: str) -> bytes:
    """The 20 bytes of an address in lower case or with its EIP-55 checksum.

    Raises:
        InvalidField: REQUIRED when empty, MALFORMED for any other text and for the zero address.
    """
    _required(field, len(text), _ADDRESS_CHARACTERS, "characters")
    return bytes.fromhex(checksum_address(text, field)[2:])


def _required(field: str, size: int, most: int, unit: str) -> None:
    if size == 0:
        raise InvalidField("REQUIRED", field, f"{field} is missing", limit=f"1 to {most} {unit}")
    if size > most:
        text = f"{field} has {size} {unit}, more than {most}"
        raise InvalidField("TOO_LONG", field, text, limit=f"{most} {unit}")


def _digest_in_uri(uri: str) -> bytes:
    _required("metadata_uri", len(uri), _URI_CHARACTERS, "characters")
    limit = f'"{IPFS_SCHEME}" and the CIDv1 (raw block, sha2-256, lower base32) of the metadata'
    try:
        if not uri.startswith(IPFS_SCHEME):
            raise ValueError("another scheme")
        return digest_of_raw_cid(uri.removeprefix(IPFS_SCHEME))
    except ValueError:
        raise InvalidField("MALFORMED", "metadata_uri", "metadata_uri is malformed", limit=limit) from None
