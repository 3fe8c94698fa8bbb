"""Both digests against eth-account's and eth-abi's own, and against vectors that never change."""

from typing import Any

import pytest
from eth_abi.packed import encode_packed
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from services.signer.formats import Domain, eip712_digest, packed_digest

BYTES32 = st.binary(min_size=32, max_size=32)
ADDRESS = st.binary(min_size=20, max_size=20)
UINT256 = st.integers(0, 2**256 - 1)

DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
PERMIT_TYPE = [
    {"name": "to", "type": "address"},
    {"name": "audioHash", "type": "bytes32"},
    {"name": "metadataDigest", "type": "bytes32"},
    {"name": "deadline", "type": "uint256"},
]


def digest_of(message: SignableMessage) -> bytes:
    """The EIP-191 digest of what a wallet signs."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def by_eth_account(
    domain: Domain, to: bytes, audio_hash: bytes, metadata_digest: bytes, deadline: int
) -> bytes:
    full_message: dict[str, Any] = {
        "types": {"EIP712Domain": DOMAIN_TYPE, "MintPermit": PERMIT_TYPE},
        "primaryType": "MintPermit",
        "domain": {
            "name": "AceSteps SongNFT",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": to_checksum_address(domain.contract),
        },
        "message": {
            "to": to_checksum_address(to),
            "audioHash": audio_hash,
            "metadataDigest": metadata_digest,
            "deadline": deadline,
        },
    }
    return digest_of(encode_typed_data(full_message=full_message))


@given(st.builds(Domain, UINT256, ADDRESS), ADDRESS, BYTES32, BYTES32, UINT256)
def test_the_eip712_digest_is_that_of_eth_account(
    domain: Domain, to: bytes, audio_hash: bytes, metadata_digest: bytes, deadline: int
) -> None:
    ours = eip712_digest(domain, to, audio_hash, metadata_digest, deadline)
    assert ours == by_eth_account(domain, to, audio_hash, metadata_digest, deadline)


@given(ADDRESS, st.text(max_size=100), BYTES32)
def test_the_packed_digest_is_that_of_eth_abi_and_eth_account(to: bytes, uri: str, audio_hash: bytes) -> None:
    packed = encode_packed(["address", "string", "bytes32"], [to_checksum_address(to), uri, audio_hash])
    assert packed_digest(to, uri, audio_hash) == digest_of(encode_defunct(keccak(packed)))


def test_digests_of_known_permits_never_change() -> None:
    """Anvil's eth_signTypedData_v4 and personal_sign (alloy, in Rust) sign the same digests for these."""
    domain = Domain(31337, bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3"))
    to = bytes.fromhex("70997970c51812dc3a010c7d01b50e0d17dc79c8")
    audio_hash, metadata_digest = bytes(range(32)), bytes(range(32, 64))
    uri = "ipfs://bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu"
    assert domain.separator.hex() == "6570697f9b10a70f313a4181eef19e01ead9ae190dddf6cf404766a1cc5c4060"
    assert eip712_digest(domain, to, audio_hash, metadata_digest, 1_800_000_000).hex() == (
        "65faef80e51164b6324be60de5baa3e6976b0ae81f63b9682a9226a068973d64"
    )
    assert (
        packed_digest(to, uri, audio_hash).hex()
        == "19ab92b736e436a65ff2c4ef98a4b5bfc39575e26c7cf073801b6a6ab371198b"
    )


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_hash_of_another_length_is_never_padded(length: int) -> None:
    good, bad, to, domain = b"\1" * 32, b"\1" * length, b"\2" * 20, Domain(1, b"\3" * 20)
    with pytest.raises(ValueError, match="audio hash"):
        eip712_digest(domain, to, bad, good, 1)
    with pytest.raises(ValueError, match="metadata digest"):
        eip712_digest(domain, to, good, bad, 1)
    with pytest.raises(ValueError, match="audio hash"):
        packed_digest(to, "ipfs://x", bad)


@pytest.mark.parametrize("length", [0, 19, 21, 32])
def test_an_address_of_another_length_is_refused(length: int) -> None:
    good, bad = b"\1" * 32, b"\2" * length
    with pytest.raises(ValueError, match="to has"):
        eip712_digest(Domain(1, b"\3" * 20), bad, good, good, 1)
    with pytest.raises(ValueError, match="contract"):
        eip712_digest(Domain(1, bad), b"\3" * 20, good, good, 1)
    with pytest.raises(ValueError, match="to has"):
        packed_digest(bad, "ipfs://x", good)


@pytest.mark.parametrize("number", [-1, 2**256])
def test_a_number_outside_uint256_is_refused(number: int) -> None:
    good = b"\1" * 32
    with pytest.raises(ValueError, match="deadline"):
        eip712_digest(Domain(1, b"\3" * 20), b"\2" * 20, good, good, number)
    with pytest.raises(ValueError, match="chain id"):
        eip712_digest(Domain(number, b"\3" * 20), b"\2" * 20, good, good, 1)
