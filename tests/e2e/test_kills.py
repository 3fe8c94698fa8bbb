"""kill -9 in the middle of a song: nothing is lost, nobody keeps a mixed file."""

import asyncio
import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from acesteps import AsyncClient, Downloaded, Song
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.stack import Stack

# Long enough that a kill at the first audio is a kill in the middle.
DURATION_S = 100.0


async def begun(artist: AsyncClient) -> Song:
    """A song of which the first audio has just come."""
    created = await artist.create("epic orchestral", duration_s=DURATION_S, instrumental=True)
    async for seen in artist.watch(created.song.id):
        if seen.HasField("first_audio_time"):
            assert seen.state == pb.SONG_STATE_RUNNING
            return seen
    raise AssertionError("the song ended without audio")


def whole(heard: Downloaded, song: Song) -> bool:
    return hashlib.sha256(heard.path.read_bytes()).hexdigest() == song.audio.sha256


@pytest.mark.parametrize("victim", ["music", "gateway", "postgres"])
async def test_a_song_survives_the_death_of(
    victim: str, stack: Stack, artist: AsyncClient, out: Path
) -> None:
    song = await begun(artist)
    listening = asyncio.create_task(artist.download(song.id, out / "song.mp3"))
    await asyncio.sleep(0.5)  # it has some of the first attempt
    stack.wait_ready(victim, after=stack.kill(victim))
    song = await artist.finish(song.id)
    heard = await listening
    assert song.attempt >= 2
    assert heard.restarts >= 1  # the listener was told
    assert whole(heard, song)


async def test_an_http_listener_of_a_lost_attempt_gets_no_clean_end(
    stack: Stack, artist: AsyncClient
) -> None:
    song = await begun(artist)
    url = f"{stack.gateway_url}/v1/songs/{song.id}/audio"

    def listen() -> bytes:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())

    listening = asyncio.create_task(asyncio.to_thread(listen))
    await asyncio.sleep(0.5)
    stack.wait_ready("music", after=stack.kill("music"))
    with pytest.raises((http.client.IncompleteRead, urllib.error.URLError, ConnectionError)):
        await listening
    song = await artist.finish(song.id)
    assert hashlib.sha256(await asyncio.to_thread(listen)).hexdigest() == song.audio.sha256


@pytest.mark.parametrize("victim", ["lyrics", "signer", "anvil"])
async def test_the_mesh_makes_songs_after_the_death_of(
    victim: str, stack: Stack, artist: AsyncClient, out: Path
) -> None:
    stack.wait_ready(victim, after=stack.kill(victim))
    song = await artist.make(
        "warm soul about coming home",
        duration_s=5,
        creator_address="0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    )
    saved = await artist.save(song.id)
    assert saved.permit.signature.startswith("0x")
