"""One song's rendering: its order sent, the music service's stream taken in, checked against its result, and
stored.

Knows the music service's interface. Nothing it returns is unchecked: every byte is hashed here again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceStub
from services.common.cid import unixfs_cid
from services.common.errors import DeadlineExceeded, Internal, error_from_rpc
from services.common.go_ahead import GO_AHEAD
from services.common.tracing import span
from services.gateway.edits import kept_edit
from services.gateway.models import Chunk, Progress, Result, Song
from services.gateway.objects import Objects, Spool
from services.gateway.work.source import Parts, Sources

if TYPE_CHECKING:
    Call = grpc.aio.StreamStreamCall[music_pb.GenerateSongRequest, music_pb.GenerateSongResponse]

# The longest song is 600 s: 24 MB of MP3, at most 106 MB of FLAC.
LONGEST_AUDIO_BYTES = 64 << 20
LONGEST_BLOB_BYTES = 256 << 20
LONGEST_TIMELINE_BYTES = 4 << 20
# For the word that a source is wanted. A pod of an earlier version never says it, and is sent the source.
GO_AHEAD_WITHIN_S = 2.0

Tell = Callable[[Progress], None]
Hear = Callable[[Chunk], Awaitable[None]]


@dataclass(frozen=True)
class Rendering:
    """All that came of one stream, not yet checked."""

    media_type: str
    audio: Spool
    master: Spool
    state: Spool
    # empty: the engine knows none
    timeline: Spool
    result: music_pb.SongResult


class Renderer:
    def __init__(
        self,
        objects: Objects,
        sources: Sources,
        *,
        silence_s: float,
        timeout_s: float,
    ) -> None:
        """`silence_s`: how long the engine may say nothing. `timeout_s`: how long a song may take in all."""
        self._objects, self._sources = objects, sources
        self._silence_s, self._timeout_s = silence_s, timeout_s

    async def render(
        self,
        pod: grpc.aio.Channel,
        song: Song,
        lyrics: lyrics_pb.LyricDocument | None,
        tell: Tell,
        hear: Hear,
    ) -> Result:
        """Has the song made by the pod and stores it. Leaving early cancels the engine at once.

        Raises the music service's own errors, those of the source of an edit (see Sources), and:
            Internal: STREAM_MALFORMED or HASH_MISMATCH, what came is not what the result says.
            DeadlineExceeded: ENGINE_SILENT.
            Unavailable: the object store cannot be written.
        """
        with ExitStack() as spools:
            with span("render"):
                rendering = await self._receive(pod, song, lyrics, tell, hear, spools)
            tell(Progress(stage="storing", media_type=rendering.media_type))
            with span("store"):
                return await self._store(rendering)

    async def _receive(
        self,
        pod: grpc.aio.Channel,
        song: Song,
        lyrics: lyrics_pb.LyricDocument | None,
        tell: Tell,
        hear: Hear,
        spools: ExitStack,
    ) -> Rendering:
        audio, master, state, timeline = (
            spools.enter_context(Spool(limit))
            for limit in (LONGEST_AUDIO_BYTES, LONGEST_BLOB_BYTES, LONGEST_BLOB_BYTES, LONGEST_TIMELINE_BYTES)
        )
        header, result = None, None
        call: Call = MusicServiceStub(pod).GenerateSong(timeout=self._timeout_s)
        try:
            async with aclosing(self._requests(song, lyrics, tell)) as requests:
                await self._send(call, requests)
            while (response := await self._next(call)) is not None:
                part = response.WhichOneof("event")
                if (header is None) != (part == "header") or result is not None:
                    raise Internal("STREAM_MALFORMED", f"{part} came out of its order")
                match part:
                    case "header":
                        header = response.header
                        tell(_progress(header, music_pb.RenderProgress(stage="composing")))
                    case "progress" if header is not None:
                        tell(_progress(header, response.progress))
                    case "audio":
                        audio.append(response.audio.offset, response.audio.data)
                        await hear(Chunk(response.audio.offset, response.audio.data))
                    case "master":
                        master.append(response.master.offset, response.master.data)
                    case "state":
                        state.append(response.state.offset, response.state.data)
                    case "timeline":
                        timeline.append(response.timeline.offset, response.timeline.data)
                    case "result":
                        result = response.result
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        finally:
            call.cancel()  # without this, a call that is left early would run on
        if header is None or result is None:
            raise Internal("STREAM_MALFORMED", "the stream ended without a result")
        return Rendering(header.media_type, audio, master, state, timeline, result)

    async def _requests(self, song: Song, lyrics: lyrics_pb.LyricDocument | None, tell: Tell) -> Parts:
        """The spec, and the source of an edit; each part of that which was taken is progress."""
        is_edit = song.source_song_id is not None
        yield music_pb.GenerateSongRequest(spec=_spec(song, lyrics), awaits_go_ahead=is_edit)
        async with aclosing(self._sources.parts(song)) as parts:
            async for part in parts:
                yield part
                tell(Progress(stage="composing"))

    async def _send(self, call: "Call", requests: Parts) -> None:
        """Sends each when the one before was taken, then half-closes. A call that has ended takes no more:
        reading it says why.

        An iterator given to the call would do the same, but turn errors of our own into a cancellation.
        """
        async for request in requests:
            if call.done():
                break
            async with self._patience():
                await call.write(request)
            if request.awaits_go_ahead and not await _goes_ahead(call):
                break
        await call.done_writing()  # of an ended call too: its task waits for more until it is told

    async def _next(self, call: "Call") -> music_pb.GenerateSongResponse | None:
        """The next response, or None after the last."""
        async with self._patience():
            response = await call.read()
        return response if isinstance(response, music_pb.GenerateSongResponse) else None

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """Raises DeadlineExceeded (ENGINE_SILENT)."""
        try:
            async with asyncio.timeout(self._silence_s):
                yield
        except TimeoutError as error:
            raise DeadlineExceeded(
                "ENGINE_SILENT", f"the engine said nothing for {self._silence_s:g} s"
            ) from error

    async def _store(self, rendering: Rendering) -> Result:
        result = rendering.result
        files = await asyncio.to_thread(_checked, rendering)
        await asyncio.gather(*(self._objects.put(data, sha256) for sha256, data in files.items()))
        reading = result.reading
        return Result(
            media_type=rendering.media_type,
            engine=result.engine,
            audio_sha256=result.audio_sha256,
            audio_cid=result.audio_cid,
            audio_bytes=rendering.audio.size,
            audio_duration_s=result.duration_s,
            pcm_sha256=result.pcm_sha256,
            master_sha256=result.master_sha256,
            master_bytes=rendering.master.size,
            state_sha256=result.state_sha256,
            envelope=result.envelope,
            genre=reading.genre,
            mood=reading.mood,
            tempo_bpm=reading.tempo_bpm,
            musical_key=reading.key,
            instruments=tuple(reading.instruments),
            timeline_sha256=result.timeline_sha256 or None,
        )


async def _goes_ahead(call: "Call") -> bool:
    """False when the call was refused before anything was sent in vain."""
    try:
        async with asyncio.timeout(GO_AHEAD_WITHIN_S):
            return GO_AHEAD in dict(await call.initial_metadata())
    except TimeoutError:
        return True


def _spec(song: Song, lyrics: lyrics_pb.LyricDocument | None) -> music_pb.SongSpec:
    edit: Mapping[str, Any] = kept_edit(song.edit)
    return music_pb.SongSpec(
        song_id=str(song.id),
        prompt=song.prompt,
        title=song.title,
        lyrics=lyrics,
        instrumental=lyrics is None,
        duration_s=song.duration_s,
        seed=song.seed,
        creator_address=song.creator_address,
        reveal_prompt=song.reveal_prompt,
        format=music_pb.AUDIO_FORMAT_MP3,
        sampling=music_pb.Sampling.FromString(song.sampling) if song.sampling is not None else None,
        reading=music_pb.MusicReading.FromString(song.reading) if song.reading is not None else None,
        **edit,
    )


def _progress(header: music_pb.StreamHeader, progress: music_pb.RenderProgress) -> Progress:
    return Progress(
        stage=progress.stage,
        step=progress.step,
        steps=progress.steps,
        eta_s=progress.eta_s,
        media_type=header.media_type,
        stream_bytes=header.total_bytes,
    )


def _checked(rendering: Rendering) -> Mapping[bytes, bytes]:
    """Every file by its hash, once all agree with the result. Blocks: hashing and reading files.

    Raises:
        Internal: HASH_MISMATCH, with the name of what differs; STREAM_MALFORMED.
    """
    result, files = rendering.result, dict[bytes, bytes]()
    for name, spool, digest in (
        ("audio", rendering.audio, result.audio_sha256),
        ("master", rendering.master, result.master_sha256),
        ("state", rendering.state, result.state_sha256),
        ("timeline", rendering.timeline, result.timeline_sha256),
    ):
        if name == "timeline" and not spool.size and not digest:
            continue
        if spool.sha256 != digest:
            raise Internal("HASH_MISMATCH", f"the {name} that came is not the one in the result")
        files[digest] = spool.read()
    audio = files[result.audio_sha256]
    if len(audio) != result.audio_bytes or unixfs_cid(audio) != result.audio_cid:
        raise Internal("HASH_MISMATCH", "the audio's length or CID is not the one in the result")
    if len(result.pcm_sha256) != 32:
        raise Internal("STREAM_MALFORMED", "the result has no PCM hash")
    return files
