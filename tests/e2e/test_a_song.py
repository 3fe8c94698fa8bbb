"""From a prompt to a token: what a creator gets is what was attested, permitted and minted."""

import asyncio
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any

import av
import numpy as np

from acesteps import AsyncClient, Downloaded, Song
from clients.demo.wallet import Wallet
from deploy.local.stack import Stack


async def make(artist: AsyncClient, folder: Path, **fields: Any) -> tuple[Song, Downloaded]:
    """A song, watched to its end and heard from its first byte."""
    created = await artist.create(**{"prompt": "calm piano, 90 BPM", "duration_s": 6} | fields)
    song = created.song
    listening = asyncio.create_task(artist.download(song.id, folder / f"{song.id}.mp3"))
    song = await artist.finish(song.id)
    return song, await listening


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


async def test_a_prompt_becomes_a_token_that_is_the_files_hash(
    stack: Stack, artist: AsyncClient, out: Path
) -> None:
    wallet = Wallet(stack.rpc_url)
    await wallet.fund()
    prompt = "melancholic jazz hop about the last train, 84 BPM"
    song, heard = await make(artist, out, prompt=prompt, creator_address=wallet.address, duration_s=12)
    digest = hashlib.sha256(heard.path.read_bytes()).hexdigest()
    assert song.audio.sha256 == digest
    assert sum(len(section.lines) for section in song.lyrics.sections) >= 1

    saved = await artist.save(song.id)
    order = await artist.mint_order(song.id)
    minted = await wallet.mint(order)
    await wallet.close()
    assert int(order.token_id, 16) == int(digest, 16)
    assert (minted.owner, minted.token_uri) == (wallet.address, saved.song.save.metadata_uri)

    def pinned(uri: str) -> bytes:
        return get(f"{stack.gateway_url}/ipfs/{uri.removeprefix('ipfs://')}")

    metadata = json.loads(pinned(minted.token_uri))
    assert metadata["audio_hash"] == "0x" + digest
    assert hashlib.sha256(pinned(metadata["animation_url"])).hexdigest() == digest
    assert pinned(metadata["image"])
    assert prompt not in json.dumps(metadata)  # it was not to be revealed


async def test_the_file_is_what_an_independent_decoder_expects(artist: AsyncClient, out: Path) -> None:
    _, heard = await make(artist, out, prompt="driving techno, 130 BPM", instrumental=True, duration_s=8)
    with av.open(str(heard.path)) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels, stream.codec_context.name[:3]) == (44100, 2, "mp3")
        assert abs(stream.bit_rate - 320_000) < 1_000
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
    assert abs(samples.shape[1] / 44100 - 8) < 0.1
    assert np.sqrt(np.mean(samples.astype(np.float64) ** 2)) > 0.01  # it can be heard


async def test_one_seed_is_one_music_but_every_song_is_its_own_file(artist: AsyncClient, out: Path) -> None:
    first, _ = await make(artist, out, seed=11)
    again, _ = await make(artist, out, seed=11)
    other, _ = await make(artist, out, seed=12)
    assert first.audio.pcm_sha256 == again.audio.pcm_sha256 != other.audio.pcm_sha256
    assert first.audio.sha256 != again.audio.sha256


async def test_own_words_are_sung_and_kept(artist: AsyncClient, out: Path) -> None:
    words = "[Verse 1]\nThe kettle hums, the window glows\nA paper boat goes where it goes\n"
    song, _ = await make(artist, out, lyrics=words, prompt="gentle folk, 96 BPM", duration_s=10)
    assert song.lyrics.engine == "user"
    assert [line.text for line in song.lyrics.sections[0].lines] == words.splitlines()[1:]


async def test_http_audio_starts_before_the_song_has_ended(stack: Stack, artist: AsyncClient) -> None:
    song = (await artist.create("ambient pads", duration_s=100, instrumental=True)).song

    def first_bytes() -> tuple[bytes, str]:
        with urllib.request.urlopen(f"{stack.gateway_url}/v1/songs/{song.id}/audio", timeout=20) as answer:
            head = answer.read(4096)
            return head, json.loads(get(f"{stack.gateway_url}/v1/songs/{song.id}"))["song"]["state"]

    head, state = await asyncio.to_thread(first_bytes)
    assert head.startswith(b"ID3")
    assert state == "SONG_STATE_RUNNING"
    assert (await artist.finish(song.id)).audio.sha256
