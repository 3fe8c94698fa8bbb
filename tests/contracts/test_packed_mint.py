"""Minting with packed permits: bound to the sender, and off until somebody gets the role."""

import secrets

import pytest

from deploy.local.chain import Chain
from deploy.local.contract import deploy_song_nft
from tests.contracts.songs import Songs, at

URI = "ipfs://bafkrei" + "a" * 52


@pytest.fixture
def audio_hash() -> bytes:
    return secrets.token_bytes(32)


def test_a_permit_mints_to_its_sender_and_the_uri_is_stored(songs: Songs, audio_hash: bytes) -> None:
    signature = songs.sign_packed(songs.creator, URI, audio_hash, songs.packed_signer)
    songs.send(songs.mint_packed(URI, audio_hash, signature))
    token = int.from_bytes(audio_hash)
    assert songs.contract.functions.ownerOf(token).call() == songs.creator
    assert songs.contract.functions.tokenURI(token).call() == URI


def test_somebody_else_cannot_bring_the_permit(songs: Songs, audio_hash: bytes) -> None:
    signature = songs.sign_packed(songs.creator, URI, audio_hash, songs.packed_signer)
    mint = songs.mint_packed(URI, audio_hash, signature)
    assert songs.refusal(mint, sender=songs.stranger)[0] == "SignerNotTrusted"


@pytest.mark.parametrize(("uri", "same_hash"), [(URI[:-1] + "b", True), (URI, False)])
def test_a_permit_is_good_for_exactly_what_it_says(
    songs: Songs, audio_hash: bytes, uri: str, same_hash: bool
) -> None:
    signature = songs.sign_packed(songs.creator, URI, audio_hash, songs.packed_signer)
    mint = songs.mint_packed(uri, audio_hash if same_hash else b"\x01" * 32, signature)
    assert songs.refusal(mint)[0] == "SignerNotTrusted"


def test_audio_minted_by_one_format_is_not_minted_by_the_other(songs: Songs, audio_hash: bytes) -> None:
    packed = songs.mint_packed(
        URI, audio_hash, songs.sign_packed(songs.creator, URI, audio_hash, songs.packed_signer)
    )
    songs.send(songs.mint_signed(songs.permit(audio_hash)))
    assert songs.refusal(packed) == ("SongAlreadyMinted", (audio_hash, songs.creator.lower()))


def test_the_signer_of_eip712_permits_is_not_trusted_here(songs: Songs, audio_hash: bytes) -> None:
    signature = songs.sign_packed(songs.creator, URI, audio_hash, songs.signer)
    assert songs.refusal(songs.mint_packed(URI, audio_hash, signature))[0] == "SignerNotTrusted"


def test_nobody_holds_the_role_after_deployment(songs: Songs, anvil: Chain, audio_hash: bytes) -> None:
    fresh = at(songs.w3, deploy_song_nft(anvil.rpc_url, songs.admin))
    granted = [event["args"]["role"] for event in fresh.events.RoleGranted().get_logs(from_block=0)]
    assert fresh.functions.PACKED_SIGNER_ROLE().call() not in granted
    assert fresh.functions.EIP712_SIGNER_ROLE().call() not in granted


def test_an_empty_uri_is_refused(songs: Songs, audio_hash: bytes) -> None:
    signature = songs.sign_packed(songs.creator, "", audio_hash, songs.packed_signer)
    assert songs.refusal(songs.mint_packed("", audio_hash, signature)) == ("MetadataMissing", (audio_hash,))


def test_a_pause_stops_packed_mints_too(songs: Songs, audio_hash: bytes) -> None:
    songs.send(songs.contract.functions.pause(), sender=songs.admin)
    signature = songs.sign_packed(songs.creator, URI, audio_hash, songs.packed_signer)
    assert songs.refusal(songs.mint_packed(URI, audio_hash, signature)) == ("EnforcedPause", ())
