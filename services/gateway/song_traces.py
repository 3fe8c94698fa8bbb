"""The spans of a song's life. Its own is stored with its row and all others hang beneath it: whoever claims
the song, whenever and at whichever replica, goes on with one trace.

Knows spans and ids, and nothing of what is done within.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from services.common.tracing import context_of, failed, span, traceparent_of, tracer
from services.gateway.models import NewSong, Song

SONG_ID, ATTEMPT, OUTCOME = "acesteps.song_id", "acesteps.attempt", "acesteps.outcome"
LEASE_EXPIRED = "LEASE_EXPIRED"


@dataclass(frozen=True)
class Lost:
    """An attempt whose worker went silent."""

    id: UUID
    attempt: int
    started_at: datetime
    traceparent: str
    # the song with it, for good
    song_failed: bool


def begun(new: NewSong) -> tuple[NewSong, Span]:
    """The song with its own span, which is to be ended once the song is stored, and else to be left."""
    own = tracer.start_span("song", kind=SpanKind.PRODUCER, attributes={SONG_ID: str(new.id)})
    return replace(new, traceparent=traceparent_of(own)), own


def concerns(song_id: str | UUID) -> None:
    """Has the current request be found by its song."""
    trace.get_current_span().set_attribute(SONG_ID, str(song_id))


@contextmanager
def attempt(song: Song) -> Iterator[Span]:
    """Around an attempt that was just claimed. Before it comes the time that the song has waited for it."""
    context = context_of([("traceparent", song.traceparent)])
    attributes: dict[str, str | int] = {SONG_ID: str(song.id), ATTEMPT: song.attempt}
    claimed_at = song.started_at or datetime.now(UTC)
    waited = tracer.start_span("queued", context, attributes=attributes, start_time=_ns(song.queued_at))
    waited.end(_ns(claimed_at))
    with span("attempt", context, kind=SpanKind.CONSUMER, attributes=attributes) as current:
        yield current


@contextmanager
def reaping(lost: Lost) -> Iterator[None]:
    """In place of the span that a dead worker never ended, as long as the attempt was thought to live."""
    own = tracer.start_span(
        "attempt reaped",
        context_of([("traceparent", lost.traceparent)]),
        attributes={SONG_ID: str(lost.id), ATTEMPT: lost.attempt},
        start_time=_ns(lost.started_at),
    )
    failed(own, LEASE_EXPIRED)
    with trace.use_span(own, end_on_exit=True):
        yield


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
