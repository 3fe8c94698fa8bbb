"""A creator's side of a song over the gateway's gRPC: review, create, watch and listen, save.

Goes on through a gateway or a maker that dies in the middle. Knows no chain and no terminal.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1 import gateway_service_pb2_grpc as rpc
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.settings import ServiceSettings

CALL_S = 20.0
# A stream is asked for again when it ends; this only bounds one asking.
STREAM_S = 900.0
# How long a gateway may be away before a song is given up.
PATIENCE_S = 60.0
RETRY_S = 0.25

_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_ENDED = (pb.SONG_STATE_SUCCEEDED, pb.SONG_STATE_FAILED, pb.SONG_STATE_CANCELLED)

T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """What was received of a song."""

    path: Path
    size_bytes: int
    # Seconds from asking for the song to the first byte of audio.
    first_audio_s: float
    # How often an attempt ended and the file was begun anew.
    restarts: int


class SongFailed(Exception):
    """The song has ended without audio; the message says why."""


class Creator:
    def __init__(self, stub: "rpc.GatewayServiceAsyncStub", note: Callable[[str], None]) -> None:
        """`note` is told, in one line, what a person who waits should know."""
        self._stub, self._note = stub, note

    async def review(self, prompt: str) -> pb.ReviewPromptResponse:
        request = pb.ReviewPromptRequest(prompt=prompt)
        return await self._patiently(lambda: self._stub.ReviewPrompt(request, timeout=CALL_S))

    async def create(self, request: pb.CreateSongRequest) -> pb.Song:
        """Needs a `request_id`: the call is repeated when its answer is lost."""
        answer = await self._patiently(lambda: self._stub.CreateSong(request, timeout=CALL_S))
        return answer.song

    async def save(self, song_id: str) -> pb.SaveSongResponse:
        request = pb.SaveSongRequest(song_id=song_id)
        return await self._patiently(lambda: self._stub.SaveSong(request, timeout=CALL_S))

    async def mint(self, song_id: str) -> pb.GetMintResponse:
        request = pb.GetMintRequest(song_id=song_id)
        return await self._patiently(lambda: self._stub.GetMint(request, timeout=CALL_S))

    async def watch(self, song_id: str) -> AsyncIterator[pb.Song]:
        """The song after every change, until it has ended."""
        revision, away_since = 0, None
        while True:
            call = self._stub.WatchSong(
                pb.WatchSongRequest(song_id=song_id, after_revision=revision), timeout=STREAM_S
            )
            try:
                async for event in call:
                    away_since, revision = None, event.song.revision
                    yield event.song
                    if event.song.state in _ENDED:
                        return
            except grpc.aio.AioRpcError as error:
                away_since = self._away(error, away_since)
                await asyncio.sleep(RETRY_S)
            finally:
                call.cancel()

    async def finish(self, song_id: str, seen: Callable[[pb.Song], None] = lambda song: None) -> pb.Song:
        """The song once it is made; `seen` is called after every change. Raises SongFailed."""
        last = pb.Song()
        async for last in self.watch(song_id):
            seen(last)
        if last.state != pb.SONG_STATE_SUCCEEDED:
            state = pb.SongState.Name(last.state).removeprefix("SONG_STATE_").lower()
            raise SongFailed(f"the song is {state}: {last.failure.reason} {last.failure.message}".strip())
        return last

    async def listen(self, song_id: str, path: Path, asked_at: float) -> Heard:
        """Write the MP3 to `path` as it is made; the file appears whole or not at all.

        `asked_at` is `time.monotonic()` when the song was asked for. Raises SongFailed.
        """
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                first_audio_s, restarts = await self._receive(song_id, file, asked_at)
                size_bytes = file.tell()
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        return Heard(path, size_bytes, first_audio_s, restarts)

    async def _receive(self, song_id: str, file: BinaryIO, asked_at: float) -> tuple[float, int]:
        """All of the song's audio, of one attempt; (seconds to the first byte, restarts)."""
        attempt, restarts, first_audio_s, away_since = 0, 0, 0.0, None
        while True:
            request = pb.StreamAudioRequest(song_id=song_id, offset=file.tell(), attempt=attempt)
            call = self._stub.StreamAudio(request, timeout=STREAM_S)
            try:
                async for event in call:
                    away_since = None
                    if event.HasField("header"):
                        attempt = event.header.attempt
                    else:
                        first_audio_s = first_audio_s or time.monotonic() - asked_at
                        file.write(event.data.data)
                return first_audio_s, restarts
            except grpc.aio.AioRpcError as error:
                failure = error_from_rpc(error)
                if failure.reason == "ATTEMPT_ENDED":
                    self._note("the attempt being heard has ended; listening from the start again")
                    attempt, restarts = 0, restarts + 1
                    file.seek(0)
                    file.truncate()
                elif failure.reason in ("SONG_FAILED", "SONG_CANCELLED"):
                    raise SongFailed(failure.message) from error
                else:
                    away_since = self._away(error, away_since)
                await asyncio.sleep(RETRY_S)
            finally:
                call.cancel()

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """An idempotent call, repeated while the gateway is away."""
        away_since = None
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                away_since = self._away(error, away_since)
                await asyncio.sleep(RETRY_S)

    def _away(self, error: grpc.aio.AioRpcError, since: float | None) -> float:
        """Since when the gateway is away. Raises ServiceError when it is not, or for too long."""
        if error.code() not in _AWAY:
            raise error_from_rpc(error) from error
        now = time.monotonic()
        if since is None:
            self._note(f"asking again until it works: {error_from_rpc(error)}")
            return now
        if now - since > PATIENCE_S:
            raise error_from_rpc(error) from error
        return since


@asynccontextmanager
async def creator(target: str, note: Callable[[str], None]) -> AsyncIterator[Creator]:
    """A creator connected to the gateway's gRPC at `target`."""
    channel = open_channel(target, ServiceSettings())
    try:
        yield Creator(rpc.GatewayServiceStub(channel), note)
    finally:
        with suppress(asyncio.CancelledError):
            await channel.close()
