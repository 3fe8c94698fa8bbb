"""A permit request as a value: every field of exact type and length before any rule or encoding sees it.

Knows the shape of the fields; whether the request deserves a signature is `policy`'s question.
"""

from dataclasses import dataclass
from enum import StrEnum

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


class PermitFormat(StrEnum):
    EIP712 = "eip712"
    PACKED = "packed"


_FORMATS = {
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
    _required("audio_hash", len(message.audio_hash), 32, "bytes")
    if len(message.audio_hash) != 32:
        text = f"audio_hash has {len(message.audio_hash)} bytes, not 32"
        raise InvalidField("MALFORMED", "audio_hash", text, limit="exactly 32 bytes")
    if message.format not in _FORMATS:
        text = f"format {message.format} is not known"
        raise InvalidField("UNKNOWN_VALUE", "format", text, limit="PERMIT_FORMAT_EIP712 or _PACKED")
    if message.chain_id == 0:
        raise InvalidField("REQUIRED", "chain_id", "chain_id is missing", limit="1 or more")
    return PermitRequest(
        envelopes=tuple(message.envelopes),
        to=to,
        metadata_uri=message.metadata_uri,
        metadata_digest=metadata_digest,
        metadata=message.metadata,
        audio_hash=message.audio_hash,
        format=_FORMATS[message.format],
        chain_id=message.chain_id,
        contract=address_bytes(message.contract, "contract"),
    )


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
