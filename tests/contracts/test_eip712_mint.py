"""Minting with EIP-712 permits: who may, what for, how often, until when."""

import dataclasses
import secrets
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3.logs import DISCARD

from deploy.local.chain import Chain
from deploy.local.contract import deploy_song_nft, grant_roles
from tests.contracts.songs import Songs, at

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def audio_hash() -> bytes:
    return secrets.token_bytes(32)


def test_a_permit_mints_the_token_whose_id_is_the_audio_hash(songs: Songs, audio_hash: bytes) -> None:
    receipt = songs.send(songs.mint_signed(songs.permit(audio_hash)))
    assert songs.contract.functions.ownerOf(int.from_bytes(audio_hash)).call() == songs.creator
    (transfer,) = songs.contract.events.Transfer().process_receipt(receipt, errors=DISCARD)
    assert transfer["args"]["tokenId"] == int.from_bytes(audio_hash)


def test_anybody_may_bring_the_permit_and_the_creator_gets_the_token(songs: Songs, audio_hash: bytes) -> None:
    songs.send(songs.mint_signed(songs.permit(audio_hash)), sender=songs.stranger)
    assert songs.contract.functions.ownerOf(int.from_bytes(audio_hash)).call() == songs.creator


def test_a_permit_mints_once(songs: Songs, audio_hash: bytes) -> None:
    mint = songs.mint_signed(songs.permit(audio_hash))
    songs.send(mint)
    assert songs.refusal(mint) == ("SongAlreadyMinted", (audio_hash, songs.creator.lower()))


def test_a_second_permit_for_the_same_audio_is_refused(songs: Songs, audio_hash: bytes) -> None:
    songs.send(songs.mint_signed(songs.permit(audio_hash)))
    other = songs.permit(audio_hash, to=songs.stranger, metadata_digest=b"\x22" * 32)
    assert songs.refusal(songs.mint_signed(other))[0] == "SongAlreadyMinted"


@pytest.mark.parametrize("field", ["to", "audio_hash", "metadata_digest", "deadline"])
def test_a_permit_is_good_for_exactly_what_it_says(songs: Songs, audio_hash: bytes, field: str) -> None:
    permit = songs.permit(audio_hash)
    signature = permit.sign(songs.signer, songs.domain)
    changed: dict[str, Any] = {
        "to": songs.stranger,
        "audio_hash": b"\x01" * 32,
        "metadata_digest": b"\x02" * 32,
        "deadline": permit.deadline + 1,
    }
    forged = dataclasses.replace(permit, **{field: changed[field]})
    assert songs.refusal(songs.mint(forged, signature))[0] == "SignerNotTrusted"


def test_a_signature_of_a_stranger_is_refused(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash)
    stranger: LocalAccount = Account.create()
    name, (signer, role) = songs.refusal(songs.mint(permit, permit.sign(stranger, songs.domain)))
    assert (name, signer) == ("SignerNotTrusted", stranger.address.lower())
    assert role == songs.contract.functions.EIP712_SIGNER_ROLE().call()


def test_the_signer_of_packed_permits_is_not_trusted_here(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash)
    signature = permit.sign(songs.packed_signer, songs.domain)
    assert songs.refusal(songs.mint(permit, signature))[0] == "SignerNotTrusted"


def test_an_expired_permit_is_refused(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash, deadline=songs.w3.eth.get_block("latest")["timestamp"] - 1)
    assert songs.refusal(songs.mint_signed(permit)) == ("PermitExpired", (permit.deadline,))


@pytest.mark.parametrize(
    "foreign",
    [{"chainId": 1}, {"verifyingContract": "0x" + "42" * 20}, {"name": "SongNFT"}, {"version": "2"}],
)
def test_a_permit_of_another_domain_is_refused(
    songs: Songs, audio_hash: bytes, foreign: dict[str, object]
) -> None:
    permit = songs.permit(audio_hash)
    signature = permit.sign(songs.signer, {**songs.domain, **foreign})
    assert songs.refusal(songs.mint(permit, signature))[0] == "SignerNotTrusted"


def test_a_permit_is_not_good_on_a_second_contract_with_the_same_signer(
    songs: Songs, anvil: Chain, audio_hash: bytes
) -> None:
    second = deploy_song_nft(anvil.rpc_url, songs.admin, eip712_signers=[songs.signer.address])
    permit = songs.permit(audio_hash)
    there = dataclasses.replace(songs, contract=at(songs.w3, second))
    mint = there.mint(permit, permit.sign(songs.signer, songs.domain))
    assert there.refusal(mint)[0] == "SignerNotTrusted"
    there.send(there.mint_signed(permit))


def test_a_high_s_copy_of_a_signature_is_refused(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash)
    signature = permit.sign(songs.signer, songs.domain)
    high_s = (SECP256K1_ORDER - int.from_bytes(signature[32:64])).to_bytes(32)
    copy = signature[:32] + high_s + bytes([27 + 28 - signature[64]])
    assert songs.refusal(songs.mint(permit, copy)) == ("ECDSAInvalidSignatureS", (high_s,))


def test_a_compact_signature_is_refused(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash)
    signature = permit.sign(songs.signer, songs.domain)
    parity = (signature[64] - 27) << 255  # EIP-2098
    compact = signature[:32] + (int.from_bytes(signature[32:64]) | parity).to_bytes(32)
    assert songs.refusal(songs.mint(permit, compact)) == ("ECDSAInvalidSignatureLength", (64,))


@pytest.mark.parametrize("signature", [b"", bytes(65), b"\x01" * 64 + b"\x1d", b"\x01" * 66])
def test_what_is_no_signature_is_refused(songs: Songs, audio_hash: bytes, signature: bytes) -> None:
    name, _ = songs.refusal(songs.mint(songs.permit(audio_hash), signature))
    assert name.startswith("ECDSAInvalidSignature")


def test_the_zero_address_gets_no_token(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash, to="0x" + "00" * 20)
    assert songs.refusal(songs.mint_signed(permit))[0] == "ERC721InvalidReceiver"


def test_a_permit_without_metadata_is_refused(songs: Songs, audio_hash: bytes) -> None:
    permit = songs.permit(audio_hash, metadata_digest=bytes(32))
    assert songs.refusal(songs.mint_signed(permit)) == ("MetadataMissing", (audio_hash,))


def test_a_revoked_signer_is_not_trusted(songs: Songs, audio_hash: bytes) -> None:
    role = songs.contract.functions.EIP712_SIGNER_ROLE().call()
    songs.send(songs.contract.functions.revokeRole(role, songs.signer.address), sender=songs.admin)
    assert songs.refusal(songs.mint_signed(songs.permit(audio_hash)))[0] == "SignerNotTrusted"


def test_two_signers_may_overlap_while_keys_are_rotated(songs: Songs, anvil: Chain) -> None:
    successor: LocalAccount = Account.create()
    roles = {"EIP712_SIGNER_ROLE": [successor.address]}
    grant_roles(anvil.rpc_url, songs.admin, songs.contract.address, roles)
    for key in (songs.signer, successor):
        permit = songs.permit(secrets.token_bytes(32))
        songs.send(songs.mint(permit, permit.sign(key, songs.domain)))


def test_a_pause_stops_mints_until_it_is_lifted(songs: Songs, audio_hash: bytes) -> None:
    mint = songs.mint_signed(songs.permit(audio_hash))
    songs.send(songs.contract.functions.pause(), sender=songs.admin)
    assert songs.refusal(mint) == ("EnforcedPause", ())
    songs.send(songs.contract.functions.unpause(), sender=songs.admin)
    songs.send(mint)
