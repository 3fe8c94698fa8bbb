"""The two digests that a mint permit is signed over, as `SongNFT` rebuilds them on chain.

Knows EIP-712 and EIP-191 byte for byte; knows no key and no rule. Built by hand because typed-data
libraries accept short `bytes32`, strings for numbers and a missing chain id; every length is checked here.
"""

from dataclasses import dataclass
from functools import cached_property

from eth_utils.crypto import keccak

# As the constructor of `SongNFT` gives them to EIP712.
DOMAIN_NAME = "AceSteps SongNFT"
DOMAIN_VERSION = "1"

_DOMAIN_TYPEHASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_PERMIT_TYPEHASH = keccak(b"MintPermit(address to,bytes32 audioHash,bytes32 metadataDigest,uint256 deadline)")
_NAME_HASH = keccak(DOMAIN_NAME.encode())
_VERSION_HASH = keccak(DOMAIN_VERSION.encode())
_UINT256_MAX = (1 << 256) - 1


@dataclass(frozen=True)
class Domain:
    """The one contract that permits are for: `contract` is its address, 20 bytes."""

    chain_id: int
    contract: bytes

    @cached_property
    def separator(self) -> bytes:
        """The EIP-712 domain separator, 32 bytes; `SongNFT` inherits the same from OpenZeppelin's EIP712."""
        return keccak(
            _DOMAIN_TYPEHASH
            + _NAME_HASH
            + _VERSION_HASH
            + _uint256(self.chain_id, "chain id")
            + _address(self.contract, "contract")
        )


def eip712_digest(
    domain: Domain, to: bytes, audio_hash: bytes, metadata_digest: bytes, deadline_unix_s: int
) -> bytes:
    """keccak256("\\x19\\x01" ‖ domain separator ‖ hashStruct(MintPermit)), 32 bytes (EIP-712).

    Raises:
        ValueError: for an address that is not 20 bytes, a hash that is not 32, a number outside uint256.
    """
    struct_hash = keccak(
        _PERMIT_TYPEHASH
        + _address(to, "to")
        + _bytes32(audio_hash, "audio hash")
        + _bytes32(metadata_digest, "metadata digest")
        + _uint256(deadline_unix_s, "deadline")
    )
    return keccak(b"\x19\x01" + domain.separator + struct_hash)


def packed_digest(to: bytes, metadata_uri: str, audio_hash: bytes) -> bytes:
    """The EIP-191 digest over keccak256(abi.encodePacked(to, metadataURI, audioHash)), 32 bytes.

    Only the middle argument varies in length, so no two different triples pack alike.

    Raises:
        ValueError: for an address that is not 20 bytes or a hash that is not 32.
    """
    packed = _exactly(20, to, "to") + metadata_uri.encode() + _bytes32(audio_hash, "audio hash")
    return keccak(b"\x19Ethereum Signed Message:\n32" + keccak(packed))


def _exactly(length: int, value: bytes, name: str) -> bytes:
    if len(value) != length:
        raise ValueError(f"{name} has {len(value)} bytes, not {length}")
    return value


def _bytes32(value: bytes, name: str) -> bytes:
    return _exactly(32, value, name)


def _address(value: bytes, name: str) -> bytes:
    return _exactly(20, value, name).rjust(32, b"\0")


def _uint256(value: int, name: str) -> bytes:
    if not 0 <= value <= _UINT256_MAX:
        raise ValueError(f"{name} is outside uint256")
    return value.to_bytes(32, "big")
