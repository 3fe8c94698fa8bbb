"""A chain that takes blocks back: the song is unminted, and its permit good again for the same mint only."""

import secrets

from tests.contracts.songs import Songs


def test_a_mint_that_a_reorg_took_back_is_made_again_by_the_same_permit_only(songs: Songs) -> None:
    audio_hash = secrets.token_bytes(32)
    permit = songs.permit(audio_hash)
    songs.send(songs.mint_signed(permit))
    before = songs.w3.eth.get_block("latest")
    reorged = songs.w3.provider.make_request("anvil_reorg", [1, []])  # anvil's own
    assert "error" not in reorged
    after = songs.w3.eth.get_block("latest")
    assert (after["number"], after["hash"] == before["hash"]) == (before["number"], False)

    assert not songs.is_minted(audio_hash)
    stolen = songs.permit(audio_hash, to=songs.stranger)
    assert songs.refusal(songs.mint(stolen, permit.sign(songs.signer, songs.domain)))[0] == "SignerNotTrusted"
    songs.send(songs.mint_signed(permit), sender=songs.stranger)
    assert songs.contract.functions.ownerOf(int.from_bytes(audio_hash)).call() == songs.creator
    assert songs.refusal(songs.mint_signed(permit))[0] == "SongAlreadyMinted"
