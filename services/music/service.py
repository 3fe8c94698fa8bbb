"""The gRPC face of the music service: order in, stream out, attested before the result leaves.

Knows protos, slots and keys; the music is made in the engine process (host.py).
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import grpc

from acesteps.music.v1 import music_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2_grpc as pb_grpc
from services.common.cid import unixfs_cid
from services.common.errors import (
    InvalidField,
    InvalidRequest,
    ResourceExhausted,
    ServiceError,
    Unimplemented,
)
from services.common.go_ahead import GO_AHEAD
from services.common.provenance import AttestationKey, SongStatement, attest
from services.common.tracing import exemplar, failed, span, tracer
from services.music.edit import Edit
from services.music.edit_spec import of_source, read_edit
from services.music.engine import CHANNELS, SAMPLE_RATE_HZ, TEXT_TO_MUSIC, EngineInfo, Progress
from services.music.host import EngineHost
from services.music.measuring import FIRST_AUDIO_S, REAL_TIME_FACTOR, SONGS
from services.music.production import (
    AudioBytes,
    MasterBytes,
    Opened,
    Output,
    PreviewBytes,
    Produced,
    SourceFiles,
    StateBytes,
    TimelineBytes,
)
from services.music.source import Trust, collect, discard, no_source, prove
from services.music.spec import MAX_DURATION_S, MIN_DURATION_S, SongOrder, read_spec

_log = logging.getLogger(__name__)


class MusicServicer(pb_grpc.MusicServiceServicer):
    def __init__(self, host: EngineHost, slots: int, key: AttestationKey, pod_id: str, trust: Trust) -> None:
        self._host, self._slots, self._key, self._pod_id = host, slots, key, pod_id
        self._trust = trust
        self._receiving = 0  # sources, each of them large

    async def GenerateSong(
        self,
        request_iterator: AsyncIterator[pb.GenerateSongRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[pb.GenerateSongResponse]:
        sender = _Sender(request_iterator, context)
        try:
            order, source = await self._ordered(sender)
        except ServiceError:
            if not sender.waits:
                await discard(request_iterator)
            raise
        song = _Song(order, self._host.info)
        outcome = "cancelled"
        # Not the current one: a generator's context is its reader's.
        rendering = tracer.start_span("engine", attributes={"acesteps.song_id": order.job.song_id})
        try:
            async with aclosing(self._host.render(song.order.job, source)) as outputs:
                async for output in outputs:
                    for response in song.responses(output):
                        yield response
                    if isinstance(output, Produced):
                        yield await self._result(song, output)
                        outcome = "ok"
        except ServiceError as error:
            outcome = error.reason.lower()
            if isinstance(error, InvalidField):  # the engine's own limits
                field = _field(error.field, song.order.task)
                raise InvalidField(error.reason, field, error.message, limit=error.limit) from error
            raise
        finally:
            if outcome != "ok":
                failed(rendering, outcome.upper())
            rendering.end()
            SONGS.labels(outcome).inc()
            _log.info("song ended", extra={"song_id": song.order.job.song_id, "outcome": outcome})

    async def DescribeEngine(
        self, request: pb.DescribeEngineRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DescribeEngineResponse:
        info = self._host.info
        return pb.DescribeEngineResponse(
            engine=info.name,
            engine_version=info.version,
            ai=info.ai,
            weights_digest=info.weights_digest,
            slots=self._slots,
            min_duration_s=MIN_DURATION_S,
            max_duration_s=MAX_DURATION_S,
            pod_id=self._pod_id,
            attestation_key_id=self._key.key_id,
            tasks=info.tasks,
        )

    async def _ordered(self, sender: "_Sender") -> tuple[SongOrder, SourceFiles | None]:
        """All that the client sends, checked as it comes; the source only of an edit."""
        spec = await sender.spec()
        edit = read_edit(spec)
        order = read_spec(spec, edit)
        info = self._host.info
        if order.job.request.sampling and not info.takes_sampling:
            raise Unimplemented("SAMPLING_UNSUPPORTED", f"the engine {info.name} does not sample")
        if edit is None:
            await no_source(sender.requests)
            return order, None
        self._check_edits(edit)
        return await self._proven(order, sender)

    def _check_edits(self, edit: Edit) -> None:
        """Before a byte of the source is taken. Raises Unimplemented and FailedPrecondition."""
        info = self._host.info
        if edit.task not in info.tasks:
            raise Unimplemented("EDIT_UNSUPPORTED", f"the engine {info.name} makes no {edit.task}")
        self._trust.bundle()

    async def _proven(self, order: SongOrder, sender: "_Sender") -> tuple[SongOrder, SourceFiles]:
        """The order of an edit with all that depends on its source, received and proven.

        Raises ResourceExhausted (POD_BUSY) before taking what no slot could work on, and as `source` does.
        """
        self._host.check_free()
        if self._receiving >= self._slots:
            message = "as many sources as there are slots are being received"
            raise ResourceExhausted("POD_BUSY", message, retry_delay_s=1.0)
        self._receiving += 1
        try:
            await sender.go_ahead()
            with span("source"):
                parts = await collect(sender.requests)
        finally:
            self._receiving -= 1
        statement = await prove(parts, self._trust.bundle(), self._host.info, datetime.now(UTC))
        return of_source(order, statement), SourceFiles(parts.state, parts.master)

    async def _result(self, song: "_Song", produced: Produced) -> pb.GenerateSongResponse:
        audio = bytes(song.audio)
        # hashing releases the interpreter, and the loop has other streams to serve
        cid = await asyncio.to_thread(unixfs_cid, audio)
        audio_sha256 = (await asyncio.to_thread(hashlib.sha256, audio)).digest()
        order, request = song.order, song.order.job.request
        statement = SongStatement(
            song_id=order.job.song_id,
            audio_sha256=audio_sha256,
            audio_cid=cid,
            pcm_sha256=bytes.fromhex(produced.pcm_sha256),
            state_sha256=bytes.fromhex(produced.state_sha256),
            task=order.task,
            source_audio_sha256=order.source_audio_sha256,
            engine=song.info.name,
            engine_version=song.info.version,
            weights_digest=song.info.weights_digest,
            request_digest=order.request_digest,
            creator_address=order.creator_address,
            media_type=song.media_type,
            audio_bytes=len(audio),
            duration_s=produced.duration_s,
            seed=request.seed,
            started_at=song.started_at,
            finished_at=datetime.now(UTC),
            pod_id=self._pod_id,
        )
        if order.task == TEXT_TO_MUSIC:  # what is kept of a source would count as rendered
            REAL_TIME_FACTOR.observe(produced.duration_s / max(produced.render_s, 1e-6), exemplar())
        return pb.GenerateSongResponse(
            result=pb.SongResult(
                seed=request.seed,
                audio_sha256=audio_sha256,
                audio_cid=cid,
                audio_bytes=len(audio),
                pcm_sha256=statement.pcm_sha256,
                state_sha256=statement.state_sha256,
                master_sha256=bytes.fromhex(produced.master_sha256),
                duration_s=produced.duration_s,
                engine=song.info.name,
                engine_version=song.info.version,
                weights_digest=song.info.weights_digest,
                first_audio_s=song.first_audio_s,
                render_s=song.elapsed_s(),
                envelope=attest(statement, self._key),
                reading=pb.MusicReading(**asdict(produced.reading)),
                timeline_sha256=bytes.fromhex(produced.timeline_sha256),
            )
        )


class _Sender:
    """A client's side of a stream, and whether it waits to be told that its source is wanted."""

    def __init__(
        self,
        requests: AsyncIterator[pb.GenerateSongRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        self.requests, self._context = requests, context
        self.waits = False

    async def spec(self) -> pb.SongSpec:
        """The spec, which is the first message. Raises InvalidRequest for anything else."""
        async for request in self.requests:
            if request.WhichOneof("part") != "spec":
                break
            self.waits = request.awaits_go_ahead
            return request.spec
        raise InvalidRequest("SPEC_EXPECTED", "the stream's first message is the spec")

    async def go_ahead(self) -> None:
        await self._context.send_initial_metadata(((GO_AHEAD, "1"),))
        self.waits = False


def _field(name: str, task: str) -> str:
    """A field that the engine named, as the request has it."""
    if name in ("state", "master"):
        return name
    return f"spec.{task}" if name == "edit" else f"spec.{name}"


class _Song:
    """One stream's bookkeeping: offsets, times, and the file so far, which the CID needs as a whole."""

    def __init__(self, order: SongOrder, info: EngineInfo) -> None:
        self.order, self.info = order, info
        self.started_at = datetime.now(UTC)
        self.audio = bytearray()
        self.media_type = ""
        self.first_audio_s = 0.0
        self._began = time.monotonic()
        self._sent: Counter[type[Output]] = Counter()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def responses(self, output: Output) -> list[pb.GenerateSongResponse]:
        """What the client hears of one output of the engine process; the result is not among it."""
        match output:
            case Opened():
                self.media_type = output.media_type
                return [pb.GenerateSongResponse(header=self._header(output.total_bytes))]
            case Progress():
                progress = pb.RenderProgress(
                    stage=output.stage, step=output.step, steps=output.steps, eta_s=output.eta_s
                )
                return [pb.GenerateSongResponse(progress=progress)]
            case AudioBytes():
                if not self.audio:
                    self.first_audio_s = self.elapsed_s()
                    FIRST_AUDIO_S.observe(self.first_audio_s, exemplar())
                chunk = pb.AudioChunk(offset=len(self.audio), data=output.data)
                self.audio += output.data
                return [pb.GenerateSongResponse(audio=chunk)]
            case PreviewBytes():
                return [pb.GenerateSongResponse(preview=self._blob(output))]
            case MasterBytes():
                return [pb.GenerateSongResponse(master=self._blob(output))]
            case StateBytes():
                return [pb.GenerateSongResponse(state=self._blob(output))]
            case TimelineBytes():
                return [pb.GenerateSongResponse(timeline=self._blob(output))]
            case Produced():
                return []

    def _blob(self, piece: PreviewBytes | MasterBytes | StateBytes | TimelineBytes) -> pb.BlobChunk:
        offset = self._sent[type(piece)]
        self._sent[type(piece)] += len(piece.data)
        return pb.BlobChunk(offset=offset, total_bytes=piece.total_bytes, data=piece.data)

    def _header(self, total_bytes: int) -> pb.StreamHeader:
        return pb.StreamHeader(
            format=self.order.audio_format,
            media_type=self.media_type,
            sample_rate_hz=SAMPLE_RATE_HZ,
            channels=CHANNELS,
            total_bytes=total_bytes,
            seed=self.order.job.request.seed,
            engine=self.info.name,
        )
