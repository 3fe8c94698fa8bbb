"""The gRPC face of the lyrics service: a brief in, lines out; a document in, a review out.

Knows protos, slots and metrics. The words are the engine's, the judgement is `review`'s.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import grpc

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as pb_grpc
from services.common.errors import ResourceExhausted, ServiceError, Unimplemented
from services.lyrics import language, wire
from services.lyrics.document import LyricDocument, parse
from services.lyrics.engine import Brief, Engine, Finished, LineWritten
from services.lyrics.measuring import LINES, SCORE, SECONDS, SLOTS_BUSY, SONGS
from services.lyrics.review import Review, review

_log = logging.getLogger(__name__)

_RETRY_S = 0.5


class LyricsServicer(pb_grpc.LyricsServiceServicer):
    def __init__(self, engine: Engine, slots: int) -> None:
        self._engine, self._slots, self._busy = engine, slots, 0

    async def GenerateLyrics(
        self, request: pb.GenerateLyricsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.GenerateLyricsResponse]:
        brief = wire.brief_of(request)
        self._check_language(brief)
        outcome, began = "cancelled", time.monotonic()
        try:
            self._take_slot()
            try:
                async with aclosing(self._engine.write(brief)) as events:
                    async for event in events:
                        if isinstance(event, Finished):
                            judged = await asyncio.to_thread(review, event.document, brief.duration_s)
                            SCORE.labels(self._engine.info.name).observe(judged.score)
                            yield wire.event_to(event, judged)
                            outcome = "ok"
                        else:
                            LINES.labels(self._engine.info.name).inc(isinstance(event, LineWritten))
                            yield wire.event_to(event)
            finally:
                self._free_slot()
        except ServiceError as error:
            outcome = error.reason.lower()
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            SONGS.labels(self._engine.info.name, outcome).inc()
            SECONDS.labels(self._engine.info.name).observe(time.monotonic() - began)
            _log.info(
                "lyrics ended",
                extra={"engine": self._engine.info.name, "seed": brief.seed, "outcome": outcome},
            )

    async def ReviewLyrics(
        self, request: pb.ReviewLyricsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReviewLyricsResponse:
        lyrics, duration_s = wire.lyrics_of(request), wire.duration_of(request.duration_s)
        # in a thread: a long text takes some tens of milliseconds, and the loop has streams to serve
        document, judged = await asyncio.to_thread(_read_and_review, lyrics, duration_s)
        SCORE.labels("builtin" if document.engine == "builtin" else "user").observe(judged.score)
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

    def _check_language(self, brief: Brief) -> None:
        if brief.language not in self._engine.info.languages:
            written = ", ".join(sorted(self._engine.info.languages))
            raise Unimplemented(
                "LANGUAGE_UNSUPPORTED",
                f"the engine {self._engine.info.name} does not write {brief.language}; it writes {written}",
                metadata={"field": "language", "limit": written},
            )

    def _take_slot(self) -> None:
        if self._busy >= self._slots:
            raise ResourceExhausted("POD_BUSY", "every slot is taken; try again", retry_delay_s=_RETRY_S)
        self._busy += 1
        SLOTS_BUSY.set(self._busy)

    def _free_slot(self) -> None:
        self._busy -= 1
        SLOTS_BUSY.set(self._busy)


def _read_and_review(lyrics: LyricDocument | str, duration_s: float) -> tuple[LyricDocument, Review]:
    """The document as read, and its review. The language of a text is said in its document."""
    if isinstance(lyrics, LyricDocument):
        return lyrics, review(lyrics, duration_s)
    parsed = parse(lyrics)
    document = LyricDocument(parsed.sections, engine="user")
    # Reviewed before its language is told: what claims no language may change it from verse to verse.
    judged = review(document, duration_s, parsed.unknown_headings)
    return replace(document, language=language.tell(line.text for line in document.lines)), judged
