"""The demo's main job: prompt → review → lyrics → song → save → permit → mint → read back and compare.

Knows the gateway and the chain by their addresses only; what it prints goes through the screen.
"""

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

from acesteps import AsyncClient, AudioPiece, Downloaded, Song
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from clients.demo.order import Order
from clients.demo.screen import Screen
from clients.demo.wallet import Minted, Wallet

# The gateway asks the chain twice a second.
WATCHER_PATIENCE_S = 15.0
POLL_S = 0.1


@dataclass(frozen=True)
class Mesh:
    """Where to find it."""

    grpc_target: str
    rpc_url: str


@dataclass(frozen=True)
class Heard:
    """What was received of a song."""

    file: Downloaded
    # Seconds from asking for the song to the first byte of audio.
    first_audio_s: float


@dataclass(frozen=True)
class Outcome:
    song: Song
    heard: Heard
    # Seconds from asking for the song until all of it was on disk.
    made_s: float
    minted: Minted


class JourneyFailed(Exception):
    """The song was not made, or what came back is not what was asked for."""


async def travel(order: Order, mesh: Mesh, screen: Screen) -> Outcome:
    """Make, save and mint the song that was ordered.

    Raises JourneyFailed, MintFailed, or AcestepsError.
    """
    wallet = Wallet(mesh.rpc_url)
    try:
        async with AsyncClient(mesh.grpc_target, note=screen.away) as artist:
            await _review(order, artist, screen)
            song, heard, made_s = await _make(order, artist, wallet.address, screen)
            screen.head("Saving and minting")
            saved = await artist.save(song.id)
            screen.line(f"metadata {saved.song.save.metadata_uri}")
            mint = await artist.mint_order(song.id)
            screen.line(f"permit by {mint.permit.signer} for {mint.contract} on chain {mint.chain_id}")
            await wallet.fund()
            minted = await wallet.mint(mint)
            screen.line(f"minted in {minted.transaction}")
            await asyncio.to_thread(_compare, heard.file.path, saved.song, mint, minted, wallet.address)
            song = await _told_by_the_chain(artist, saved.song)
            return Outcome(song, heard, made_s, minted)
    finally:
        await wallet.close()


async def _review(order: Order, artist: AsyncClient, screen: Screen) -> None:
    screen.head("Prompt")
    screen.line(order.prompt)
    review = await artist.review(order.prompt)
    for finding in review.findings:
        screen.line(f"{'refused' if finding.refuses else 'advice'}: {finding.message}")
    if not review.allowed:
        raise JourneyFailed("the review refuses this prompt")


async def _make(order: Order, artist: AsyncClient, address: str, screen: Screen) -> tuple[Song, Heard, float]:
    asked_at = time.monotonic()
    created = await artist.create(
        order.prompt,
        lyrics=order.lyrics,
        instrumental=order.instrumental,
        duration_s=order.duration_s,
        seed=order.seed,
        creator_address=address,
    )
    song = created.song
    screen.head(f"Song {song.id}, seed {song.seed}")
    order.out_dir.mkdir(parents=True, exist_ok=True)
    for left in order.out_dir.glob("*.mp3.part"):  # of a demo that was killed
        left.unlink()
    path = order.out_dir / f"{_slug(order.prompt)}-{song.id[:8]}.mp3"
    first_audio_s = 0.0

    def heard(piece: AudioPiece) -> None:
        nonlocal first_audio_s
        first_audio_s = first_audio_s or time.monotonic() - asked_at

    with screen.progress(asked_at) as progress:
        listening = asyncio.create_task(artist.download(song.id, path, on_piece=heard))
        try:
            song = await artist.finish(song.id, on_change=progress.show)
            file = await listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    if song.HasField("lyrics"):
        screen.lyrics(song)
    return song, Heard(file, first_audio_s), time.monotonic() - asked_at


async def _told_by_the_chain(artist: AsyncClient, song: Song) -> Song:
    """The song as the gateway shows it once it has read of its token."""
    for _ in range(round(WATCHER_PATIENCE_S / POLL_S)):
        song = await artist.get(song.id)
        if song.mint.state == pb.MINT_STATE_MINTED:
            break
        await asyncio.sleep(POLL_S)
    else:
        raise JourneyFailed("the gateway does not see the token on the chain")
    return song


def _compare(path: Path, song: Song, mint: pb.GetMintResponse, minted: Minted, address: str) -> None:
    """File, song, order to mint and chain must all speak of the same bytes and the same owner."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for what, found, wanted in (
        ("the song's hash", song.audio.sha256, digest),
        ("the token id", int(mint.token_id, 16), int(digest, 16)),
        ("the owner on chain", minted.owner, address),
        ("the tokenURI on chain", minted.token_uri, song.save.metadata_uri),
    ):
        if found != wanted:
            raise JourneyFailed(f"{what} is {found}, not {wanted}")


def _slug(prompt: str) -> str:
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    return "-".join(words[:5])[:48] or "song"
