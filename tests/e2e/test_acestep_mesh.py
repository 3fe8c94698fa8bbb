"""The engine `acestep` in the whole mesh, on a tiny checkpoint: a song and edits of it become tokens."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from acesteps import AsyncClient, Extend, LyricEdit, Repaint, Sampling, Song, SongFailed, Variation
from clients.demo.wallet import Wallet
from deploy.local.stack import Stack
from services.music.acestep import tiny_checkpoint
from tests.e2e.test_a_song import get, make
from tests.music_acestep.lyric_vocabulary import write_lyric_vocabulary

RATE = 44_100
WORDS = "[verse]\nrain on the roof\nrain on the pane\n"


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Stack]:
    weights = tmp_path / "weights"
    tiny_checkpoint.write(weights)
    write_lyric_vocabulary(weights / "lyric_vocab.json")
    overrides = {"MUSIC_ENGINE": "acestep", "MUSIC_WEIGHTS": str(weights), "MUSIC_STEPS": "2"}
    with Stack(tmp_path / "mesh", http_port=0, grpc_port=0, overrides=overrides) as stack:
        yield stack


async def minted(mesh: Stack, artist: AsyncClient, wallet: Wallet, song: Song) -> dict[str, Any]:
    """The metadata of the song's token, once that is the wallet's."""
    await artist.save(song.id)
    order = await artist.mint_order(song.id)
    token = await wallet.mint(order)
    assert int(order.token_id, 16) == int(song.audio.sha256, 16)
    assert token.owner == wallet.address
    document = json.loads(get(f"{mesh.gateway_url}/ipfs/{token.token_uri.removeprefix('ipfs://')}"))
    assert document["audio_hash"] == f"0x{song.audio.sha256}"
    return dict(document)


def pcm_of(mesh: Stack, song: Song) -> NDArray[np.int16]:
    """The samples of the song's WAV file, (n, 2)."""
    wav = get(f"{mesh.gateway_url}/v1/songs/{song.id}/audio?format=wav")
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="int16")
    assert hashlib.sha256(samples.tobytes()).hexdigest() == song.audio.pcm_sha256
    return np.asarray(samples)


async def test_a_song_of_the_model_and_edits_of_it_are_heard_permitted_and_minted(
    mesh: Stack, tmp_path: Path
) -> None:
    wallet = Wallet(mesh.rpc_url)
    await wallet.fund()
    async with AsyncClient(mesh.gateway_target) as artist:

        async def heard(**fields: Any) -> Song:
            """A song that was listened to while it was made, saved and minted."""
            song, file = await make(artist, tmp_path, **fields)
            assert hashlib.sha256(file.path.read_bytes()).hexdigest() == song.audio.sha256
            traits = {
                a["trait_type"]: a["value"] for a in (await minted(mesh, artist, wallet, song))["attributes"]
            }
            edit = song.WhichOneof("edit")
            assert traits.get("Task") == edit
            assert traits.get("Source") == (f"0x{known[song.source_song_id].audio.sha256}" if edit else None)
            known[song.id] = song
            return song

        async def changed(source: Song, **fields: Any) -> Song:
            return await heard(source_song_id=source.id, prompt="", duration_s=None, **fields)

        known: dict[str, Song] = {}
        song = await heard(creator_address=wallet.address, duration_s=6, lyrics=WORDS)
        variation = await changed(song, edit=Variation(variance=0.6), seed=3)
        repaint = await changed(song, edit=Repaint(start_s=2.0, end_s=3.5), sampling=Sampling(steps=3))
        only_lyrics = LyricEdit(mode=LyricEdit.MODE_ONLY_LYRICS)
        lyric_edit = await changed(song, edit=only_lyrics, lyrics=WORDS.replace("rain", "snow"))
        extend = await changed(song, edit=Extend(left_s=1.0, right_s=0.5))
        again = await changed(extend, edit=Repaint(start_s=6.5, end_s=7.5, variance=1.0))
        with pytest.raises(SongFailed, match="OUT_OF_RANGE"):
            await artist.make("calm piano", sampling=Sampling(steps=201))
    await wallet.close()

    assert {one.engine for one in known.values()} == {"acestep"}
    assert {one.lyrics.sections[0].lines[0].text for one in (song, variation, repaint, extend, again)} == {
        "rain on the roof"
    }
    assert lyric_edit.lyrics.sections[0].lines[0].text == "snow on the roof"
    pcm = {one.id: pcm_of(mesh, one) for one in known.values()}
    assert len({one.audio.pcm_sha256 for one in known.values()}) == 6
    assert [len(pcm[one.id]) / RATE for one in (variation, repaint, lyric_edit, extend, again)] == [
        6, 6, 6, 7.5, 7.5,
    ]  # fmt: skip
    first, painted, longer, last = (pcm[one.id] for one in (song, repaint, extend, again))
    left, right = 2 * RATE, round(3.5 * RATE)
    assert np.array_equal(painted[:left], first[:left])
    assert np.array_equal(painted[right:], first[right:])
    assert not np.array_equal(painted[left:right], first[left:right])
    assert np.array_equal(longer[RATE : RATE + len(first)], first)
    assert np.array_equal(last[: round(6.5 * RATE)], longer[: round(6.5 * RATE)])
