"""The Python client of either kind through gateways that restart, attempts that end and files that lie."""

import asyncio
import hashlib
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import acesteps
from acesteps import AudioPiece
from acesteps.files import PartFile
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import (
    GatewayServiceServicer,
)
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from deploy.local.ports import free_ports
from services.common.errors import InvalidRequest, Unavailable
from tests.clients.conftest import Connect, listed, target_of
from tests.clients.recorder import served
from tests.gateway.mesh import Gateway, Mesh
from tests.gateway.mesh import gateway as running
from tests.gateway.pods import PIECE, Script, rendered

PROMPT = "calm jazz hop, 84 bpm"


async def restarting(pods: Mesh, stack: AsyncExitStack, **settings: Any) -> tuple[str, AsyncExitStack]:
    """A gateway that makes no songs itself, and what ends it; the same port begins it again."""
    own = await stack.enter_async_context(AsyncExitStack())
    front = await own.enter_async_context(running(**{**pods.environment, "workers": 0, **settings}))
    return target_of(front), own


async def test_watching_goes_on_through_a_gateway_that_restarts(connect: Connect, pods: Mesh) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    await pods.open()  # makes the songs
    (port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        target, front = await restarting(pods, stack, grpc_port=port)
        told: list[acesteps.AcestepsError] = []
        client = connect(target, note=told.append)
        song = (await client.create(PROMPT, duration_s=5.0, instrumental=True)).song
        revisions: list[int] = []

        async def watch() -> None:
            async with aclosing(client.watch(song.id)) as changes:
                async for change in changes:
                    revisions.append(change.revision)

        watching = asyncio.create_task(watch())
        await script.paused.wait()
        await front.aclose()
        script.go_on.set()
        await restarting(pods, stack, grpc_port=port)
        await watching
        assert told
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == (await client.get(song.id)).revision


async def test_listening_goes_on_at_the_byte_that_was_reached(connect: Connect, pods: Mesh) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    await pods.open()
    (port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        target, front = await restarting(pods, stack, grpc_port=port)
        client = connect(target)
        song = (await client.create(PROMPT, duration_s=5.0, instrumental=True)).song
        pieces: list[AudioPiece] = []
        reached = asyncio.Event()

        async def listen() -> None:
            async with aclosing(client.listen(song.id)) as audio:
                async for piece in audio:
                    pieces.append(piece)
                    if piece.offset + len(piece.data) >= 2 * PIECE:
                        reached.set()

        listening = asyncio.create_task(listen())
        await reached.wait()
        await front.aclose()
        script.go_on.set()
        await restarting(pods, stack, grpc_port=port)
        await listening
        assert b"".join(piece.data for piece in pieces) == rendered(song.id, song.seed, 5.0).audio
        assert {piece.attempt for piece in pieces} == {1}


async def test_a_download_begins_anew_when_the_attempt_ends_in_the_middle(
    connect: Connect, pods: Mesh, gateway: Gateway, tmp_path: Path
) -> None:
    broken = Script(pause_after=2, error=Unavailable("POD_LOST", "the pod is gone"))
    pods.music.follow(broken)
    client = connect(target_of(gateway))
    song = (await client.create(PROMPT, duration_s=5.0, instrumental=True)).song
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_piece(piece: AudioPiece) -> None:
        assert not (tmp_path / "song.mp3").exists()
        loop.call_soon_threadsafe(heard.set)

    downloading = asyncio.create_task(client.download(song.id, tmp_path / "song.mp3", on_piece=on_piece))
    await heard.wait()
    broken.go_on.set()
    file = await downloading
    assert file.restarts == 1
    assert file.path.read_bytes() == rendered(song.id, song.seed, 5.0).audio
    assert list(tmp_path.glob("*.part")) == []


async def test_a_song_that_fails_is_an_error_with_its_reason_and_leaves_no_file(
    connect: Connect, pods: Mesh, gateway: Gateway, tmp_path: Path
) -> None:
    pods.music.follow(Script(error=InvalidRequest("STEPS_UNKNOWN", "no such steps")))
    client = connect(target_of(gateway))
    with pytest.raises(acesteps.SongFailed) as failure:
        await client.make(PROMPT, duration_s=5.0, instrumental=True)
    song = failure.value.song
    assert (failure.value.reason, acesteps.state_of(song)) == (song.failure.reason, "failed")
    with pytest.raises(acesteps.FailedPrecondition, match="SONG_FAILED"):
        await client.download(song.id, tmp_path / "song.mp3")
    assert list(tmp_path.glob("song*")) == []


async def test_audio_of_another_song_is_not_kept(connect: Connect, gateway: Gateway, tmp_path: Path) -> None:
    client = connect(target_of(gateway))
    song = await client.make(PROMPT, duration_s=5.0, instrumental=True)
    for path in Path(gateway.settings.objects_url.removeprefix("file://")).rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(acesteps.AudioMismatch):
        await client.download(song.id, tmp_path / "song.mp3")
    assert list(tmp_path.glob("song*")) == []


async def test_a_gateway_that_stays_away_is_given_up_and_told_of_once(connect: Connect) -> None:
    told: list[acesteps.AcestepsError] = []
    client = connect("127.0.0.1:9", patience_s=0.5, note=told.append)
    with pytest.raises(acesteps.Unavailable):
        await client.get("x")
    with pytest.raises(acesteps.Unavailable):
        await listed(client.watch("x"))
    assert len(told) == 2


class Interrupted(GatewayServiceServicer):
    """A gateway that goes away in the middle of its first answers."""

    def __init__(self, *, after: int) -> None:
        self._left = after
        self.asked: list[Any] = []

    async def WriteLyrics(self, request: pb.WriteLyricsRequest, context: Any) -> Any:
        self.asked.append(request)
        for text in ("rain on the roof", "rain on the pane"):
            await self._go_away(context)
            line = lyrics_pb.LyricsLine(text=text)
            yield pb.WriteLyricsResponse(lyrics=lyrics_pb.GenerateLyricsResponse(line=line))

    async def WatchBatch(self, request: pb.WatchBatchRequest, context: Any) -> Any:
        self.asked.append(request.cursor)
        for number in range(int(request.cursor or 0), 3):
            await self._go_away(context)
            yield pb.WatchBatchResponse(song=pb.Song(id=str(number)), cursor=str(number + 1))

    async def _go_away(self, context: Any) -> None:
        self._left -= 1
        if self._left == -1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def test_a_batch_is_watched_on_from_the_last_cursor(connect: Connect) -> None:
    gateway = Interrupted(after=2)
    async with served(gateway) as target:
        answers = await listed(connect(target).watch_batch("batch"))
    assert [answer.song.id for answer in answers] == ["0", "1", "2"]
    assert gateway.asked == ["", "2"]


async def test_words_are_asked_for_again_only_while_none_has_come(connect: Connect) -> None:
    brief = lyrics_pb.GenerateLyricsRequest(theme="rain")
    early = Interrupted(after=0)
    async with served(early) as target:
        lines = await listed(connect(target).write_lyrics(brief))
    assert [event.line.text for event in lines] == ["rain on the roof", "rain on the pane"]
    assert len(early.asked) == 2
    late = Interrupted(after=1)
    async with served(late) as target:
        with pytest.raises(acesteps.Unavailable, match="INTERRUPTED"):
            await listed(connect(target).write_lyrics(brief))
    assert len(late.asked) == 1


@given(st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=4))
def test_of_any_attempts_the_last_is_the_file(tmp_path_factory: Any, attempts: list[list[bytes]]) -> None:
    path = tmp_path_factory.mktemp("file") / "song.mp3"
    with PartFile(path) as file:
        for number, pieces in enumerate(attempts, 1):
            offset = 0
            for data in pieces:
                file.add(AudioPiece(data, offset, number, 0))
                offset += len(data)
        assert not path.exists()
        kept = file.keep()
    whole = b"".join(attempts[-1])
    assert path.read_bytes() == whole
    assert kept.sha256 == hashlib.sha256(whole).hexdigest()
    assert kept.restarts == len(attempts) - 1
    assert [entry.name for entry in path.parent.iterdir()] == ["song.mp3"]
