"""One attempt at one song: words, music, objects, and the end of it, whatever that is.

Knows what each outcome means for the song. Everything it writes is fenced by the attempt's number.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from services.common.errors import (
    FailedPrecondition,
    InvalidField,
    InvalidRequest,
    OutOfRange,
    ServiceError,
    Unimplemented,
)
from services.gateway import metrics
from services.gateway.database import DatabaseUnavailable
from services.gateway.models import Chunk, Result, Song, State
from services.gateway.notices import Notices
from services.gateway.titles import title_of_words, title_without_words
from services.gateway.work.journal import Journal
from services.gateway.work.lyricist import Lyricist
from services.gateway.work.pods import Turn
from services.gateway.work.queue import ChunksLost, LeaseLost, Queue
from services.gateway.work.readiness import NO_POD_READY
from services.gateway.work.renderer import Renderer

_log = logging.getLogger(__name__)

# A pod that gives no hint is asked again after this long.
BUSY_DELAY_S = 1.0
# The pod's, not the song's.
_PODS_OWN = ("POD_BUSY", "ENGINE_STARTING")
# These would be the same at the next attempt.
_FINAL = (InvalidField, InvalidRequest, OutOfRange, FailedPrecondition, Unimplemented)


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    # To the queue, without a failure: pods busy or away, we are draining, the database lost audio.
    GIVEN_BACK = "given_back"
    RETRIED = "retried"
    FAILED = "failed"
    # Cancelled, reaped or begun again elsewhere.
    LOST = "lost"


class Attempt:
    def __init__(
        self, song: Song, turn: Turn, queue: Queue, lyricist: Lyricist, renderer: Renderer, notices: Notices
    ) -> None:
        self._song, self._turn, self._queue, self._notices = song, turn, queue, notices
        self._lyricist, self._renderer = lyricist, renderer
        self._journal = Journal(queue, song.id, song.attempt)
        self._key = (song.id, song.attempt)
        self._ids = {"song": str(song.id), "attempt": song.attempt}

    async def run(self) -> Outcome:
        """Makes the song. Cancelling gives it back. Raises nothing but CancelledError."""
        outcome = Outcome.GIVEN_BACK
        try:
            outcome = await self._settle()
        except LeaseLost:
            outcome = Outcome.LOST
        finally:
            metrics.ATTEMPTS.labels(outcome.value).inc()
            _log.info("attempt ended", extra={**self._ids, "outcome": outcome.value})
        return outcome

    async def _settle(self) -> Outcome:
        """Makes the song and writes down how that ended. Raises LeaseLost."""
        try:
            await self._make()
            return Outcome.SUCCEEDED
        except asyncio.CancelledError:
            await self._give_back(0.0)
            raise
        except ChunksLost:
            return await self._give_back(0.0)
        except ServiceError as error:
            _log.warning("attempt failed", extra={**self._ids, "reason": error.reason})
            return await self._settle_error(error)
        except LeaseLost:
            raise
        except Exception:
            _log.exception("attempt broke", extra=self._ids)
            return await self._fail("INTERNAL", "internal error")

    async def _settle_error(self, error: ServiceError) -> Outcome:
        metrics.FAILURES.labels(error.reason).inc()
        if error.reason in _PODS_OWN:
            # Another pod may take the song at once; this one is asked again when it said.
            self._turn.busy(BUSY_DELAY_S if error.retry_delay_s is None else error.retry_delay_s)
            return await self._give_back(0.0)
        if error.reason == NO_POD_READY:
            return await self._give_back(error.retry_delay_s or 0.0)
        if error.reason == "OUT_OF_MEMORY" or isinstance(error, _FINAL):
            await self._queue.insist(lambda: self._queue.fail_song(*self._key, error.reason, _told(error)))
            return Outcome.FAILED
        return await self._fail(error.reason, error.message)

    async def _fail(self, reason: str, message: str) -> Outcome:
        await self._queue.insist(lambda: self._queue.fail_attempt(*self._key, reason, message))
        return Outcome.RETRIED

    async def _give_back(self, delay_s: float) -> Outcome:
        await self._queue.insist(lambda: self._queue.give_back(*self._key, delay_s))
        return Outcome.GIVEN_BACK

    async def _make(self) -> None:
        """Raises what ended the attempt: a ServiceError, LeaseLost or ChunksLost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                guard = tasks.create_task(self._until_lost())
                writer = tasks.create_task(self._journal.run())
                result = await self._render()
                self._journal.close()
                await writer
                guard.cancel()
        except BaseExceptionGroup as group:
            raise _cause(group) from None
        await self._queue.insist(lambda: self._queue.finish(*self._key, result))
        metrics.SONG_S.observe((datetime.now(UTC) - self._song.created_at).total_seconds())

    async def _render(self) -> Result:
        if self._song.instrumental:
            song, words = self._song, None
        elif self._song.lyrics is not None:  # an earlier attempt got so far
            song, words = self._song, lyrics_pb.LyricDocument.FromString(self._song.lyrics)
        else:
            words = await self._lyricist.words_for(self._song, self._journal.tell)
            title = self._song.title or title_of_words(words) or self._wordless_title()
            document = words.SerializeToString(deterministic=True)
            # A name that it was given meanwhile stays.
            kept = await self._queue.insist(lambda: self._queue.write_lyrics(*self._key, document, title))
            song = replace(self._song, title=kept)
        # Claim and words have just renewed the lease; waiting for a pod does not.
        pod = await self._turn.slot(within_s=self._queue.limits.lease_s / 2)
        return await self._renderer.render(pod, song, words, self._journal.tell, self._hear)

    def _wordless_title(self) -> str:
        song = self._song
        return title_without_words(song.prompt, revealed=song.reveal_prompt, seed=song.seed)

    async def _hear(self, chunk: Chunk) -> None:
        await self._journal.hear(chunk)
        if chunk.offset == 0:
            metrics.FIRST_AUDIO_S.observe((datetime.now(UTC) - self._song.created_at).total_seconds())

    async def _until_lost(self) -> None:
        """Raises LeaseLost as soon as the song is seen not to be ours any more: cancelled, or reaped."""
        kinds = (State.CANCELLED, State.QUEUED, State.FAILED)
        with self._notices.subscribe(self._song.id, *kinds) as news:
            while True:
                await news.wait()
                with suppress(DatabaseUnavailable):
                    if not await self._queue.holds(*self._key):
                        raise LeaseLost


def _told(error: ServiceError) -> str:
    """With the limit that was missed: a failure has no field of its own for it."""
    limit = error.limit if isinstance(error, InvalidField) else ""
    return f"{error.message} (allowed: {limit})" if limit not in error.message else error.message


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error: it is what cancelled the other tasks of its group."""
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, BaseExceptionGroup) else first
