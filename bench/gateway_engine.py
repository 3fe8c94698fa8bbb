"""A music pod that only sends bytes, at a pace: `ENGINE_GRPC_PORT=... python -m bench.gateway_engine`.

Speaks the whole protocol, with a real FLAC master and a real attestation. What the bytes sound like is noise;
the moment at which each progress event left is told on standard output, as lines of JSON.
"""

import asyncio
import hashlib
import io
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import soundfile
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from acesteps.music.v1 import music_service_pb2 as pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceServicer, add_MusicServiceServicer_to_server
from services.common.cid import unixfs_cid
from services.common.provenance import AttestationKey, SongStatement, attest, version_digest
from services.common.server import GrpcService, Health, run_service
from services.common.settings import ServiceSettings, load_settings

SAMPLE_RATE_HZ = 44_100
BYTES_PER_S = 40_000  # 320 kbit/s
PIECE_BYTES = 64_000
# (8, 16, T) latents in half precision, T of 4,096 samples each
STATE_BYTES_PER_S = 8 * 16 * 2 * SAMPLE_RATE_HZ // 4096
WEIGHTS = version_digest("1")


class EngineSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ENGINE_")

    pace_s: Annotated[float, Field(ge=0)] = 3.0
    """Seconds from a song's first byte of audio to its last."""
    progress_per_s: Annotated[float, Field(gt=0)] = 10.0
    """Progress events a second meanwhile."""
    song_s: Annotated[float, Field(ge=1)] = 60.0
    """Length of the songs that are asked for."""


@dataclass(frozen=True)
class Blobs:
    """A song's files. `audio` and `master` are one song's alone, as they are of a real engine."""

    audio: bytes
    pcm_sha256: bytes
    master: bytes
    state: bytes


class Noise:
    """Makes the files of every song out of one."""

    def __init__(self, song_s: float) -> None:
        noise = np.random.default_rng(0)
        pcm = noise.integers(-2000, 2000, (round(song_s * SAMPLE_RATE_HZ), 2), dtype=np.int16)
        master = io.BytesIO()
        soundfile.write(master, pcm, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
        self._pcm_sha256 = hashlib.sha256(pcm.astype("<i2").tobytes()).digest()
        self._master = master.getvalue()
        self._audio = noise.bytes(round(song_s * BYTES_PER_S))
        self._state = noise.bytes(round(song_s * STATE_BYTES_PER_S))

    def of(self, song_id: str) -> Blobs:
        name = song_id.encode()
        # After "fLaC" and STREAMINFO: an APPLICATION block (RFC 9639 section 8.4) that holds the song's id.
        block = bytes([2]) + (4 + len(name)).to_bytes(3, "big") + b"song" + name
        master = self._master[:42] + block + self._master[42:]
        return Blobs(
            name + self._audio[len(name) :], self._pcm_sha256, master, name + self._state[len(name) :]
        )


class Engine(MusicServiceServicer):
    def __init__(self, settings: EngineSettings) -> None:
        self._settings, self._noise = settings, Noise(settings.song_s)
        self._key = AttestationKey.new()

    async def GenerateSong(
        self, request_iterator: AsyncIterator[pb.GenerateSongRequest], context: Any
    ) -> AsyncGenerator[pb.GenerateSongResponse]:
        spec = (await anext(request_iterator)).spec
        begun_at, blobs = datetime.now(UTC), self._noise.of(spec.song_id)
        yield pb.GenerateSongResponse(
            header=pb.StreamHeader(
                media_type="audio/mpeg", total_bytes=len(blobs.audio), seed=spec.seed, engine="sketch"
            )
        )
        sent: list[float] = []
        try:
            async for response in self._paced(blobs.audio, sent):
                yield response
        finally:
            print(json.dumps({"song": spec.song_id, "sent": sent}), flush=True)
        for chunk in _pieces(blobs.master):
            yield pb.GenerateSongResponse(master=chunk)
        for chunk in _pieces(blobs.state):
            yield pb.GenerateSongResponse(state=chunk)
        yield pb.GenerateSongResponse(result=self._result(spec, blobs, begun_at))

    async def _paced(self, audio: bytes, sent: list[float]) -> AsyncGenerator[pb.GenerateSongResponse]:
        """Audio and progress, each evenly over the time; `sent` gets the moment of every progress event.

        Songs that were begun together do not go on in step: each has a phase of its own.
        """
        pace_s, every_s = self._settings.pace_s, 1 / self._settings.progress_per_s
        steps, pieces = round(pace_s / every_s), -(-len(audio) // PIECE_BYTES)
        phase_s = random.random() * every_s
        due = [(phase_s + step * every_s, step, -1) for step in range(1, steps)]
        due += [(piece * pace_s / max(pieces - 1, 1), 0, piece) for piece in range(pieces)]
        begun = time.monotonic()
        for due_s, step, piece in sorted(due):
            if (wait_s := begun + due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            if piece < 0:
                sent.append(time.monotonic())
                yield pb.GenerateSongResponse(
                    progress=pb.RenderProgress(stage="rendering", step=step, steps=steps, eta_s=1.0)
                )
            else:
                offset = piece * PIECE_BYTES
                data = audio[offset : offset + PIECE_BYTES]
                yield pb.GenerateSongResponse(audio=pb.AudioChunk(offset=offset, data=data))

    def _result(self, spec: pb.SongSpec, blobs: Blobs, begun_at: datetime) -> pb.SongResult:
        statement = SongStatement(
            song_id=spec.song_id,
            audio_sha256=hashlib.sha256(blobs.audio).digest(),
            audio_cid=unixfs_cid(blobs.audio),
            pcm_sha256=blobs.pcm_sha256,
            state_sha256=hashlib.sha256(blobs.state).digest(),
            task="text2music",
            source_audio_sha256=None,
            engine="sketch",
            engine_version="1",
            weights_digest=WEIGHTS,
            request_digest="ab" * 32,
            creator_address=spec.creator_address,
            media_type="audio/mpeg",
            audio_bytes=len(blobs.audio),
            duration_s=spec.duration_s,
            seed=spec.seed,
            started_at=begun_at,
            finished_at=datetime.now(UTC),
            pod_id="music-bench",
        )
        return pb.SongResult(
            seed=spec.seed,
            audio_sha256=statement.audio_sha256,
            audio_cid=statement.audio_cid,
            audio_bytes=statement.audio_bytes,
            pcm_sha256=statement.pcm_sha256,
            state_sha256=statement.state_sha256,
            master_sha256=hashlib.sha256(blobs.master).digest(),
            duration_s=spec.duration_s,
            engine="sketch",
            engine_version="1",
            weights_digest=WEIGHTS,
            envelope=attest(statement, self._key),
            reading=pb.MusicReading(
                genre="jazz hop", mood="calm", tempo_bpm=84, key="A minor", instruments=["piano", "drums"]
            ),
        )

    async def DescribeEngine(
        self, request: pb.DescribeEngineRequest, context: Any
    ) -> pb.DescribeEngineResponse:
        return pb.DescribeEngineResponse(
            engine="sketch",
            engine_version="1",
            weights_digest=WEIGHTS,
            slots=256,
            min_duration_s=1.0,
            max_duration_s=240.0,
            pod_id="music-bench",
            attestation_key_id=self._key.key_id,
            tasks=["text2music"],
        )


def _pieces(blob: bytes) -> Iterator[pb.BlobChunk]:
    for offset in range(0, len(blob), PIECE_BYTES):
        data = blob[offset : offset + PIECE_BYTES]
        yield pb.BlobChunk(offset=offset, total_bytes=len(blob), data=data)


async def build(settings: EngineSettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    engine = Engine(settings)
    health.set_ready(True)
    name = pb.DESCRIPTOR.services_by_name["MusicService"].full_name
    return [GrpcService(name, lambda server: add_MusicServiceServicer_to_server(engine, server))]


if __name__ == "__main__":
    run_service("engine", load_settings(EngineSettings), build)
