"""From a prompt to a token: what a creator gets is what was attested, permitted and minted."""

import asyncio
import hashlib
import io
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import av
import numpy as np

from acesteps import AsyncClient, Downloaded, Song
from acesteps.gateway.v1 import gateway_service_pb2 as pb
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

    for _ in range(100):
        token = (await artist.get(song.id)).mint
        if token.state == pb.MINT_STATE_MINTED:
            break
        await asyncio.sleep(0.1)
    assert token.state == pb.MINT_STATE_MINTED
    assert (token.transaction, token.owner) == (minted.transaction, minted.owner)
    assert token.token_id == order.token_id


class Shown:
    """What a marketplace makes of a tokenURI: it trusts nothing, and knows no field but the standard's."""

    def __init__(self, gateway_url: str, token_uri: str) -> None:
        self._gateway_url = gateway_url
        document = json.loads(self.loaded(token_uri, "application/json"), object_pairs_hook=self._once)
        self.name, self.description = self._text(document["name"]), self._text(document["description"])
        self.image, self.animation = document["image"], document["animation_url"]
        self.traits = dict(map(self._trait, document["attributes"]))

    def loaded(self, uri: str, media_type: str) -> bytes:
        cid = re.fullmatch(r"ipfs://(b[a-z2-7]{58})", uri)
        assert cid, uri
        with urllib.request.urlopen(f"{self._gateway_url}/ipfs/{cid[1]}", timeout=10) as answer:
            assert answer.headers["content-type"] == media_type
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "immutable" in answer.headers["cache-control"]
            return bytes(answer.read())

    @staticmethod
    def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    @staticmethod
    def _text(value: object) -> str:
        assert isinstance(value, str)
        assert value.strip()
        return value

    def _trait(self, trait: dict[str, Any]) -> tuple[str, object]:
        assert set(trait) <= {"trait_type", "value", "display_type"}
        if "display_type" in trait:
            assert trait["display_type"] == "number"
            assert type(trait["value"]) in (int, float)
        else:
            self._text(trait["value"])
        return self._text(trait["trait_type"]), trait["value"]


async def test_a_marketplace_shows_name_cover_audio_and_traits(
    stack: Stack, artist: AsyncClient, out: Path
) -> None:
    asked = {"prompt": "calm lo-fi hip hop, 80 BPM", "title": "Rain", "seed": 5}
    song, _ = await make(artist, out, creator_address=Wallet(stack.rpc_url).address, **asked)
    uri = (await artist.save(song.id)).song.save.metadata_uri
    shown = await asyncio.to_thread(Shown, stack.gateway_url, uri)
    assert shown.name == "Rain"
    assert {"Genre", "Mood", "Key", "Duration", "Engine"} <= set(shown.traits)
    assert (shown.traits["BPM"], shown.traits["Seed"]) == (80, 5)
    cover = shown.loaded(shown.image, "image/png")
    with av.open(io.BytesIO(cover)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (1024, 1024)
        assert len(np.unique(frame.to_ndarray(format="gray"))) > 50  # it shows something
    with av.open(io.BytesIO(shown.loaded(shown.animation, "audio/mpeg"))) as container:
        assert container.streams.audio[0].codec_context.name.startswith("mp3")
        assert sum(frame.samples for frame in container.decode(audio=0)) > 5 * 44_100


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
