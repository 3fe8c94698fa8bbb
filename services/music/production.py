"""One song from engine to bytes: the audio file as it is made, then master, state and what is to be attested.

Runs in the engine process. Knows engines and encoders; no transport, no keys.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from services.common.errors import InvalidField
from services.music.edit import Source
from services.music.encoding import FileEncoder, FlacMaster, open_encoder, open_preview_encoder, read_master
from services.music.engine import (
    SAMPLE_RATE_HZ,
    Audio,
    Engine,
    Finished,
    Pcm,
    Preview,
    Progress,
    Reading,
    RenderRequest,
    Started,
)
from services.music.id3 import SongTags

CHUNK_BYTES = 64 * 1024
# The first chunk leaves with a fifth of a second of sound, so that players start on it.
FIRST_CHUNK_BYTES = 8 * 1024
MAX_SOURCE_SAMPLES = 600 * SAMPLE_RATE_HZ


@dataclass(frozen=True, kw_only=True)
class SongJob:
    """A song as the engine process gets it."""

    request: RenderRequest
    song_id: str
    title: str
    reveal_prompt: bool
    audio_format: str  # "mp3" or "wav"
    source_pcm_sha256: str = ""  # of an edit: what its master must hold, lower-case hex


@dataclass(frozen=True, eq=False)
class SourceFiles:
    """The source of an edit as it is stored: `state` is the attested one, `master` has yet to be read."""

    state: bytes
    master: bytes


@dataclass(frozen=True)
class Opened:
    media_type: str
    total_bytes: int


@dataclass(frozen=True)
class PreviewBytes:
    """Of a file of its own, an MP3 whatever the song's format."""

    total_bytes: int
    data: bytes


@dataclass(frozen=True)
class AudioBytes:
    data: bytes


@dataclass(frozen=True)
class MasterBytes:
    total_bytes: int
    data: bytes


@dataclass(frozen=True)
class StateBytes:
    total_bytes: int
    data: bytes


@dataclass(frozen=True)
class TimelineBytes:
    """Only of an engine that knows one."""

    total_bytes: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Produced:
    """The last output: digests in lower-case hex, and how it went."""

    pcm_sha256: str
    master_sha256: str
    state_sha256: str
    duration_s: float
    render_s: float
    reading: Reading
    timeline_sha256: str = ""  # empty where there is none


Output = Opened | Progress | PreviewBytes | AudioBytes | MasterBytes | StateBytes | TimelineBytes | Produced


def produce(
    engine: Engine, job: SongJob, cancelled: Callable[[], bool], source: SourceFiles | None = None
) -> Iterator[Output]:
    """Render and encode one song, lazily; of an edit `source` is read and proven first.

    Raises:
        RenderCancelled, MemoryError, InvalidField: as the engine does.
        InvalidField: SOURCE_MISMATCH on `master`, which is not the one that is attested.
    """
    began, request, info = time.monotonic(), job.request, engine.info
    if source:
        pcm = _attested_pcm(source.master, job.source_pcm_sha256)
        request = replace(request, source=Source(pcm, source.state))
    tags = SongTags(
        song_id=job.song_id,
        title=job.title,
        engine=info.name,
        engine_version=info.version,
        ai=info.ai,
        seed=request.seed,
        prompt=request.prompt if job.reveal_prompt else None,
    )
    encoder = open_encoder(job.audio_format, request.samples, tags)
    preview = _Preview(request.samples, tags)
    master, pcm_hash, samples, finished = FlacMaster(tags.disclosure), hashlib.sha256(), 0, None
    pending, limit = bytearray(encoder.opening), FIRST_CHUNK_BYTES
    for event in engine.render(request, cancelled):
        if isinstance(event, Started):  # not before: the engine has refused what it refuses
            yield Opened(encoder.media_type, encoder.total_bytes)
        elif isinstance(event, Progress):
            yield event
        elif isinstance(event, Preview):
            yield from preview.outputs(event.pcm)
        elif isinstance(event, Finished):
            finished = event
        elif isinstance(event, Audio) and len(event.pcm):
            pcm_hash.update(event.pcm.tobytes())
            samples += len(event.pcm)
            master.write(event.pcm)
            pending += encoder.encode(event.pcm)
            if limit == FIRST_CHUNK_BYTES and len(pending) >= FIRST_CHUNK_BYTES:
                yield from _audio(pending, FIRST_CHUNK_BYTES)
                limit = CHUNK_BYTES
            yield from _audio(pending, CHUNK_BYTES)
            if pending:
                yield AudioBytes(bytes(pending))
                pending.clear()
    pending += encoder.finish()
    yield from _audio(pending, CHUNK_BYTES)
    if pending:
        yield AudioBytes(bytes(pending))
    if finished is None or samples != request.samples or preview.broken_off:
        raise AssertionError(f"{info.name} gave {samples} samples of {request.samples}, or no end")

    yield Progress("mastering", 0, 1)
    flac = master.finish()
    for data in _pieces(flac):
        yield MasterBytes(len(flac), data)
    for data in _pieces(finished.state):
        yield StateBytes(len(finished.state), data)
    for data in _pieces(finished.timeline):
        yield TimelineBytes(len(finished.timeline), data)
    yield Progress("mastering", 1, 1)
    yield Produced(
        pcm_sha256=pcm_hash.hexdigest(),
        master_sha256=hashlib.sha256(flac).hexdigest(),
        state_sha256=hashlib.sha256(finished.state).hexdigest(),
        duration_s=samples / SAMPLE_RATE_HZ,
        render_s=time.monotonic() - began,
        reading=finished.reading,
        timeline_sha256=hashlib.sha256(finished.timeline).hexdigest() if finished.timeline else "",
    )


class _Preview:
    """The preview's file as it is made, block by block; it is never held as a whole."""

    def __init__(self, samples: int, tags: SongTags) -> None:
        self._samples, self._tags, self._left = samples, tags, samples
        self._encoder: FileEncoder | None = None  # until there is a preview

    @property
    def broken_off(self) -> bool:
        return self._encoder is not None and self._left != 0

    def outputs(self, pcm: Pcm) -> Iterator[PreviewBytes]:
        """What is whole of the file by now: the end, when `pcm` is the last block."""
        data = b""
        if self._encoder is None:
            self._encoder = open_preview_encoder(self._samples, self._tags)
            data = self._encoder.opening
        data += self._encoder.encode(pcm)
        self._left -= len(pcm)
        if not self._left:
            data += self._encoder.finish()
        for piece in _pieces(data):
            yield PreviewBytes(self._encoder.total_bytes, piece)


def _attested_pcm(master: bytes, sha256: str) -> Pcm:
    limit = "a FLAC file of the attested samples"
    try:
        pcm = read_master(master, MAX_SOURCE_SAMPLES)
    except ValueError as error:
        raise InvalidField("SOURCE_MISMATCH", "master", f"the master: {error}", limit=limit) from None
    if hashlib.sha256(pcm.data).hexdigest() != sha256:
        message = "the master's samples are not those that are attested"
        raise InvalidField("SOURCE_MISMATCH", "master", message, limit=limit)
    return pcm


def _audio(pending: bytearray, size: int) -> Iterator[AudioBytes]:
    """Whole pieces off the front of `pending`."""
    while len(pending) >= size:
        yield AudioBytes(bytes(pending[:size]))
        del pending[:size]
        if size == FIRST_CHUNK_BYTES:
            return


def _pieces(blob: bytes) -> Iterator[bytes]:
    for at in range(0, len(blob), CHUNK_BYTES):
        yield blob[at : at + CHUNK_BYTES]
