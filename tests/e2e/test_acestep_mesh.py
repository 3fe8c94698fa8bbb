"""The engine `acestep` in the whole mesh, on a tiny random checkpoint: from a prompt to a token."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.demo.song import creator
from clients.demo.wallet import Wallet
from deploy.local.stack import Stack
from services.music.acestep import tiny_checkpoint
from tests.e2e.test_a_song import make
from tests.music_acestep.lyric_vocabulary import write_lyric_vocabulary


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Stack]:
    weights = tmp_path / "weights"
    tiny_checkpoint.write(weights)
    write_lyric_vocabulary(weights / "lyric_vocab.json")
    overrides = {"MUSIC_ENGINE": "acestep", "MUSIC_WEIGHTS": str(weights), "MUSIC_STEPS": "2"}
    with Stack(tmp_path / "mesh", http_port=0, grpc_port=0, overrides=overrides) as stack:
        yield stack


async def test_a_song_of_the_model_is_heard_permitted_and_minted(mesh: Stack, tmp_path: Path) -> None:
    wallet = Wallet(mesh.rpc_url)
    await wallet.fund()
    async with creator(mesh.gateway_target, lambda line: None) as artist:
        song, heard = await make(artist, tmp_path, creator_address=wallet.address, duration_s=6)
        await artist.save(song.id)
        order = await artist.mint(song.id)
    minted = await wallet.mint(order)
    await wallet.close()
    assert song.engine == "acestep"
    assert song.lyrics.sections
    assert int(order.token_id, 16) == int(hashlib.sha256(heard.path.read_bytes()).hexdigest(), 16)
    assert minted.owner == wallet.address
