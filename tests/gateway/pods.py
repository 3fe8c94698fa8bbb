"""Lyrics and music services that speak the real protocol and do as a test says, also what real ones never do.

A song of theirs is noise in an MP3's clothes, with a real FLAC master and a real attestation.
"""

import asyncio
import base64
import hashlib
import io
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

import numpy as np
import soundfile

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.lyrics.v1.lyrics_service_pb2_grpc import LyricsServiceServicer
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceServicer
from services.common.cid import unixfs_cid
from services.common.errors import InvalidField, ServiceError, Unimplemented
from services.common.go_ahead import GO_AHEAD
from services.common.provenance import AttestationKey, SongStatement, attest
from tests.signer.attested import POD, WEIGHTS

PIECE = 60_000


@dataclass
class Script:
    """What the pod does with one call."""

    # Pieces of audio that it sends before it waits for `go_on`; None: it never waits.
    pause_after: int | None = None
    # Raised then, or at once when nothing was to be sent.
    error: ServiceError | None = None
    # True: takes nothing behind the spec until `go_on`.
    deaf: bool = False
    # Raised before a source is taken, from a client that waits for the word.
    unwanted: ServiceError | None = None
    # Changes the result before it is sent.
    lie: dict[str, Any] = field(default_factory=dict)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    # Set when that many pieces were sent, and when the call ended in whatever way.
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Rendered:
    audio: bytes
    pcm: bytes
    master: bytes
    state: bytes


@cache
def rendered(song_id: str, seed: int, duration_s: float) -> Rendered:
    """The same for the same song: the PCM by the seed, the file by the id too."""
    noise = np.random.default_rng(seed)
    pcm = noise.integers(-2000, 2000, (round(duration_s * 44_100), 2), dtype=np.int16)
    master = io.BytesIO()
    soundfile.write(master, pcm, 44_100, format="FLAC", subtype="PCM_16")
    audio = Random(song_id).randbytes(round(duration_s * 40_000))
    return Rendered(audio, pcm.astype("<i2").tobytes(), master.getvalue(), b"state of " + song_id.encode())


def pieces(blob: bytes) -> Iterator[music_pb.BlobChunk]:
    for offset in range(0, len(blob), PIECE):
        piece = blob[offset : offset + PIECE]
        yield music_pb.BlobChunk(offset=offset, total_bytes=len(blob), data=piece)


@dataclass
class Source:
    """What a client sent behind the spec, as it came."""

    envelopes: list[bytes] = field(default_factory=list)
    state: bytes = b""
    master: bytes = b""
    # of a message's `data`
    longest: int = 0

    @classmethod
    async def taken(cls, requests: AsyncIterator[music_pb.GenerateSongRequest]) -> "Source":
        """All that comes until the half-close, which has to be in order and whole."""
        source = cls()
        async for request in requests:
            part = request.WhichOneof("part")
            if part == "envelope":
                assert not source.state
                source.envelopes.append(request.envelope)
            else:
                assert part in ("state", "master")
                chunk, so_far = getattr(request, part), getattr(source, part)
                assert chunk.offset == len(so_far)
                setattr(source, part, so_far + chunk.data)
                assert len(so_far) + len(chunk.data) <= chunk.total_bytes
                source.longest = max(source.longest, len(chunk.data))
        return source


def statement_of(envelope: bytes) -> SongStatement:
    return SongStatement.from_json(base64.b64decode(json.loads(envelope)["payload"]))


class MusicPod(MusicServiceServicer):
    """Follows its scripts, then makes songs without further ado."""

    def __init__(self) -> None:
        self.scripts: deque[Script] = deque()
        self._given: list[Script] = []
        self.specs: list[music_pb.SongSpec] = []
        # What came behind the spec of every edit.
        self.sources: list[Source] = []
        self.key: AttestationKey = POD.key
        self.engine = "sketch"
        # Serialised, of the songs to come; empty: the engine knows none.
        self.timeline = b""
        # True: as pods of earlier versions.
        self.silent_about_sources = False

    def follow(self, *scripts: Script) -> None:
        self.scripts.extend(scripts)
        self._given.extend(scripts)

    def forget(self) -> None:
        """Lets every paused song go on, and begins anew."""
        for script in self._given:
            script.go_on.set()
        self.scripts.clear()
        self._given.clear()
        self.specs.clear()
        self.sources.clear()
        self.silent_about_sources = False
        self.engine, self.timeline = "sketch", b""

    async def GenerateSong(
        self, request_iterator: AsyncIterator[music_pb.GenerateSongRequest], context: Any
    ) -> AsyncIterator[music_pb.GenerateSongResponse]:
        first = await anext(request_iterator)
        spec = first.spec
        self.specs.append(spec)
        script = self.scripts.popleft() if self.scripts else Script()
        try:
            if first.awaits_go_ahead and script.unwanted is not None:
                raise script.unwanted
            if not self.silent_about_sources:
                await context.send_initial_metadata(((GO_AHEAD, "1"),))
            if script.deaf:
                await script.go_on.wait()
            source = await Source.taken(request_iterator)
            if spec.WhichOneof("edit"):
                self.sources.append(source)
            async for response in self._song(spec, source, script):
                yield response
        finally:
            script.ended.set()

    async def _song(
        self, spec: music_pb.SongSpec, source: "Source", script: Script
    ) -> AsyncIterator[music_pb.GenerateSongResponse]:
        if script.error is not None and script.pause_after is None:
            raise script.error
        song = rendered(spec.song_id, spec.seed, spec.duration_s)
        yield music_pb.GenerateSongResponse(
            header=music_pb.StreamHeader(
                media_type="audio/mpeg", total_bytes=len(song.audio), seed=spec.seed, engine=self.engine
            )
        )
        offsets = range(0, len(song.audio), PIECE)
        for step, offset in enumerate(offsets):
            await self._pause(script, step)
            yield music_pb.GenerateSongResponse(
                progress=music_pb.RenderProgress(stage="rendering", step=step, steps=len(offsets), eta_s=1)
            )
            piece = music_pb.AudioChunk(offset=offset, data=song.audio[offset : offset + PIECE])
            yield music_pb.GenerateSongResponse(audio=piece)
        await self._pause(script, len(offsets))
        for part in pieces(song.master):
            yield music_pb.GenerateSongResponse(master=part)
        for part in pieces(song.state):
            yield music_pb.GenerateSongResponse(state=part)
        for part in pieces(self.timeline):
            yield music_pb.GenerateSongResponse(timeline=part)
        result = self._result(spec, source, song)
        result.MergeFrom(music_pb.SongResult(**script.lie))
        yield music_pb.GenerateSongResponse(result=result)

    async def DescribeEngine(
        self, request: music_pb.DescribeEngineRequest, context: Any
    ) -> music_pb.DescribeEngineResponse:
        return music_pb.DescribeEngineResponse(engine="sketch", engine_version="1", slots=1)

    async def _pause(self, script: Script, sent: int) -> None:
        if script.pause_after == sent:
            script.paused.set()
            await script.go_on.wait()
            if script.error is not None:
                raise script.error

    def _result(self, spec: music_pb.SongSpec, source: "Source", song: Rendered) -> music_pb.SongResult:
        now = datetime.now(UTC)
        digests: dict[str, Any] = {
            "audio_sha256": hashlib.sha256(song.audio).digest(),
            "pcm_sha256": hashlib.sha256(song.pcm).digest(),
            "state_sha256": hashlib.sha256(song.state).digest(),
        }
        statement = SongStatement(
            song_id=spec.song_id,
            audio_cid=unixfs_cid(song.audio),
            task=spec.WhichOneof("edit") or "text2music",
            source_audio_sha256=statement_of(source.envelopes[0]).audio_sha256 if source.envelopes else None,
            engine=self.engine,
            engine_version="1",
            weights_digest=WEIGHTS,
            request_digest="ab" * 32,
            creator_address=spec.creator_address,
            media_type="audio/mpeg",
            audio_bytes=len(song.audio),
            duration_s=spec.duration_s,
            seed=spec.seed,
            started_at=now,
            finished_at=now,
            pod_id="music-test",
            **digests,
        )
        return music_pb.SongResult(
            **digests,
            seed=spec.seed,
            audio_cid=statement.audio_cid,
            audio_bytes=len(song.audio),
            master_sha256=hashlib.sha256(song.master).digest(),
            duration_s=spec.duration_s,
            engine=self.engine,
            engine_version="1",
            weights_digest=WEIGHTS,
            timeline_sha256=hashlib.sha256(self.timeline).digest() if self.timeline else b"",
            envelope=attest(statement, self.key),
            reading=music_pb.MusicReading(
                genre="jazz hop", mood="calm", tempo_bpm=84, key="A minor", instruments=["piano", "drums"]
            ),
        )


class LyricsPod(LyricsServiceServicer):
    """Writes two lines about anything, but not in French."""

    def __init__(self) -> None:
        self.requests: list[lyrics_pb.GenerateLyricsRequest] = []
        self.reviews: list[lyrics_pb.ReviewLyricsRequest] = []
        self.gate = ""
        # Not set: it stops behind the first line.
        self.go_on = asyncio.Event()
        self.go_on.set()
        # Set when a call ended in whatever way.
        self.ended = asyncio.Event()
        # Raised behind the last line.
        self.failure: ServiceError | None = None

    def forget(self) -> None:
        """Begins anew."""
        self.requests.clear()
        self.reviews.clear()
        self.gate, self.failure = "", None
        self.go_on.set()

    async def DescribeLyricist(
        self, request: lyrics_pb.DescribeLyricistRequest, context: Any
    ) -> lyrics_pb.DescribeLyricistResponse:
        return lyrics_pb.DescribeLyricistResponse(engine="builtin", engine_version="1", languages=["en"])

    async def GenerateLyrics(
        self, request: lyrics_pb.GenerateLyricsRequest, context: Any
    ) -> AsyncIterator[lyrics_pb.GenerateLyricsResponse]:
        self.requests.append(request)
        try:
            async for response in self._written(request):
                yield response
        finally:
            self.ended.set()

    async def _written(
        self, request: lyrics_pb.GenerateLyricsRequest
    ) -> AsyncIterator[lyrics_pb.GenerateLyricsResponse]:
        if not request.theme:
            raise InvalidField("REQUIRED", "theme", "theme is empty", limit="1 to 500 characters")
        if request.language == "fr":
            raise Unimplemented("LANGUAGE_UNSUPPORTED", "only English is written")
        yield lyrics_pb.GenerateLyricsResponse(progress=lyrics_pb.LyricsProgress(lines_total=2))
        for index, text in enumerate(LINES):
            line = lyrics_pb.LyricsLine(tag=lyrics_pb.SECTION_TAG_VERSE, line_index=index, text=text)
            yield lyrics_pb.GenerateLyricsResponse(line=line)
            await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        yield lyrics_pb.GenerateLyricsResponse(
            result=lyrics_pb.LyricsResult(document=document("Rain On Tin"))
        )

    async def ReviewLyrics(
        self, request: lyrics_pb.ReviewLyricsRequest, context: Any
    ) -> lyrics_pb.ReviewLyricsResponse:
        self.reviews.append(request)
        review = lyrics_pb.LyricsReview(passed=not self.gate)
        if self.gate:
            review.findings.add(
                code=self.gate, gate=True, message="cannot be sung", section_index=0, line_index=-1
            )
        return lyrics_pb.ReviewLyricsResponse(review=review, document=document("", request.text.splitlines()))


LINES = ("rain on the roof, rain on the pane", "I hum along and it rains again")


def document(title: str, lines: Any = LINES) -> lyrics_pb.LyricDocument:
    section = lyrics_pb.LyricSection(
        tag=lyrics_pb.SECTION_TAG_VERSE, lines=[lyrics_pb.LyricLine(text=line) for line in lines]
    )
    return lyrics_pb.LyricDocument(sections=[section], language="en", title=title, engine="builtin", seed=7)
