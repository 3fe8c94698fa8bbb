"""The gRPC face of the lyrics service: a brief in, lines out; a document in, a review out.

Knows protos, slots and metrics. The words are the engine's, the judgement is `review`'s.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as pb_grpc
from services.common.errors import ResourceExhausted, ServiceError, Unimplemented
from services.common.tracing import exemplar
from services.lyrics import candidates, language, order, wire
from services.lyrics.document import LyricDocument, parse
from services.lyrics.engine import Brief, Engine, LineWritten, Planned, SectionWritten
from services.lyrics.measuring import LINES, SCORE, SECONDS, SLOTS_BUSY, SONGS
from services.lyrics.order import ReviewOrder
from services.lyrics.review import Finding, Review, review

_log = logging.getLogger(__name__)

_RETRY_S = 0.5


class LyricsServicer(pb_grpc.LyricsServiceServicer):
    def __init__(self, engine: Engine, slots: int) -> None:
        self._engine, self._slots, self._busy = engine, slots, 0

    async def GenerateLyrics(
        self, request: pb.GenerateLyricsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.GenerateLyricsResponse]:
        brief, count = order.brief_of(request), order.candidates_of(request)
        self._check_language(brief)
        outcome, began = "cancelled", time.monotonic()
        try:
            slots = self._take_slots(count)
            try:
                async with aclosing(self._responses(brief, count, slots)) as responses:
                    async for response in responses:
                        yield response
                outcome = "ok"
            finally:
                self._free_slots(slots)
        except ServiceError as error:
            outcome = error.reason.lower()
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            SONGS.labels(self._engine.info.name, outcome).inc()
            SECONDS.labels(self._engine.info.name).observe(time.monotonic() - began, exemplar())
            _log.info(
                "lyrics ended",
                extra={"engine": self._engine.info.name, "seed": brief.seed, "outcome": outcome},
            )

    async def ReviewLyrics(
        self, request: pb.ReviewLyricsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReviewLyricsResponse:
        asked = order.review_of(request)
        # in a thread: a long text takes some tens of milliseconds, and the loop has streams to serve
        document, judged = await asyncio.to_thread(_read_and_review, asked)
        known = document.engine in ("builtin", "llama")  # a label that callers could fill would never end
        SCORE.labels(document.engine if known else "user").observe(judged.score)
        return pb.ReviewLyricsResponse(review=wire.review_to(judged), document=wire.document_to(document))

    async def DescribeLyricist(
        self, request: pb.DescribeLyricistRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DescribeLyricistResponse:
        info = self._engine.info
        return pb.DescribeLyricistResponse(
            engine=info.name,
            engine_version=info.version,
            ai=info.ai,
            weights_digest=info.weights_digest,
            languages=sorted(info.languages),
            slots=self._slots,
            replayable=info.replayable,
            notice=info.notice,
        )

    async def _responses(
        self, brief: Brief, count: int, slots: int
    ) -> AsyncGenerator[pb.GenerateLyricsResponse, None]:
        """What is sent of a song: its events, and how far it is whenever a section is done."""

        async def judge(document: LyricDocument) -> Review:
            return await asyncio.to_thread(
                review,
                document,
                brief.duration_s,
                tempo_bpm=brief.tempo_bpm,
                brief=brief,
                clean=brief.clean,
            )

        name, done, total = self._engine.info.name, 0, 0
        async with aclosing(candidates.write(self._engine, brief, count, slots, judge)) as events:
            async for event, judged in events:
                yield wire.event_to(event, judged)
                match event:
                    case Planned():
                        total = event.lines_total
                    case LineWritten():
                        done += 1
                        LINES.labels(name).inc()
                    case SectionWritten():
                        yield wire.progress_to(done, total)
                if judged is not None:
                    SCORE.labels(name).observe(judged.score)

    def _check_language(self, brief: Brief) -> None:
        if brief.language not in self._engine.info.languages:
            written = ", ".join(sorted(self._engine.info.languages))
            raise Unimplemented(
                "LANGUAGE_UNSUPPORTED",
                f"the engine {self._engine.info.name} does not write {brief.language}; it writes {written}",
                metadata={"field": "language", "limit": written},
            )

    def _take_slots(self, wanted: int) -> int:
        """Takes as many slots as are free, at least one and at most `wanted`."""
        taken = min(wanted, self._slots - self._busy)
        if taken < 1:
            raise ResourceExhausted("POD_BUSY", "every slot is taken; try again", retry_delay_s=_RETRY_S)
        self._busy += taken
        SLOTS_BUSY.set(self._busy)
        return taken

    def _free_slots(self, taken: int) -> None:
        self._busy -= taken
        SLOTS_BUSY.set(self._busy)


def _read_and_review(asked: ReviewOrder) -> tuple[LyricDocument, Review]:
    """The document as read, and its review. The language of a text is said in its document."""

    def judge(document: LyricDocument, unknown_headings: Sequence[str] = ()) -> Review:
        return review(
            document,
            asked.duration_s,
            unknown_headings,
            tempo_bpm=asked.tempo_bpm,
            brief=asked.brief,
            clean=asked.clean,
        )

    if isinstance(asked.lyrics, LyricDocument):
        return asked.lyrics, judge(asked.lyrics)
    parsed = parse(asked.lyrics)
    document = LyricDocument(parsed.sections, asked.language, parsed.title, engine="user")
    # Reviewed before its language is told: what claims no language may change it from verse to verse.
    judged = judge(document, parsed.unknown_headings)
    spoken = document.language or language.tell(line.text for line in document.lines)
    left_out = (
        Finding("LEFT_OUT", f'"{remark[:80]}" was not taken for words to sing') for remark in parsed.remarks
    )
    return replace(document, language=spoken), replace(judged, findings=(*judged.findings, *left_out))
