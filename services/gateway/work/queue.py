"""Songs as workers see them: claim, record, finish, give back, fail, reap. One SQL statement each.

Every statement that a worker makes carries its attempt. Once the song has moved on, it changes nothing and
raises LeaseLost: a stalled worker's late word is never heard.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, TypeVar
from uuid import UUID

from services.gateway.database import Database, DatabaseUnavailable, patiently
from services.gateway.models import Chunk, Progress, Result, Song
from services.gateway.store import SONG_COLUMNS, song_of
from services.gateway.tiers import Tiers

LONGEST_BACKOFF_S = 60.0

T = TypeVar("T")

_RESULT = tuple(f.name for f in fields(Result))
_HELD = "id = $1 AND attempt = $2 AND state = 'RUNNING'"
_LEFT = "lease_expires_at = NULL, eta_s = 0, media_type = '', stream_bytes = 0, revision = revision + 1"
# Back in the queue: what the attempt has shown of itself is taken back.
_WAITING = f"stage = 'queued', step = 0, steps = 0, started_at = NULL, first_audio_at = NULL, {_LEFT}"
_DROP_CHUNKS = "dropped AS (DELETE FROM audio_chunks USING ended WHERE song_id = ended.id)"
# Back in the queue after a while that doubles with every failure, or failed where it stands.
_FAILED_ONCE_MORE = (
    "failures = failures + 1,"
    " state = CASE WHEN failures + 1 >= {limit} THEN 'FAILED' ELSE 'QUEUED' END,"
    " ended_at = CASE WHEN failures + 1 >= {limit} THEN now() END,"
    f" run_at = now() + make_interval(secs => least({LONGEST_BACKOFF_S}, {{backoff}} * power(2, failures))),"
    " stage = CASE WHEN failures + 1 >= {limit} THEN stage ELSE 'queued' END,"
    " step = CASE WHEN failures + 1 >= {limit} THEN step ELSE 0 END,"
    " steps = CASE WHEN failures + 1 >= {limit} THEN steps ELSE 0 END,"
    " started_at = CASE WHEN failures + 1 >= {limit} THEN started_at END,"
    f" first_audio_at = CASE WHEN failures + 1 >= {{limit}} THEN first_audio_at END, {_LEFT}"
)


class LeaseLost(Exception):
    """The song is no longer this attempt's: cancelled, reaped or begun again."""


class ChunksLost(Exception):
    """The database lost audio that it had taken (its server crashed): the attempt cannot be heard whole."""


@dataclass(frozen=True)
class Limits:
    """How long a worker may be silent, and how often a song may fail."""

    lease_s: float
    max_failures: int
    backoff_s: float
    # how much each account may have in the making
    tiers: Tiers


class Queue:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self.limits = limits

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeats `write` while the database is away, as long as the lease could still be good.

        Raises LeaseLost when it cannot, and whatever else `write` raises.
        """
        try:
            return await patiently(write, self.limits.lease_s)
        except DatabaseUnavailable:
            raise LeaseLost from None

    async def claim(self) -> Song | None:
        """Begins the next attempt of the song whose turn it is, if one may be begun (see claim_song)."""
        tiers = self.limits.tiers.by_name
        first = self.limits.tiers.first
        names = [first, *(name for name in tiers if name != first)]
        row = await self._database.row(
            f"SELECT {SONG_COLUMNS} FROM claim_song($1, $2, $3)",
            self.limits.lease_s, names, [tiers[name].concurrency for name in names],
        )  # fmt: skip
        return song_of(row) if row is not None else None

    async def next_due_s(self) -> float | None:
        """Seconds until the next song's backoff is over; None when none is in one. What could be run already
        and is not claimed belongs to accounts that have as much in the making as they may."""
        due_s = await self._database.value(
            "SELECT extract(epoch FROM min(run_at) - now())::float8 FROM songs"
            " WHERE state = 'QUEUED' AND run_at > now()"
        )
        return None if due_s is None else max(0.0, float(due_s))

    async def holds(self, song_id: UUID, attempt: int) -> bool:
        """Whether the song is still this attempt's."""
        return bool(await self._database.value(f"SELECT true FROM songs WHERE {_HELD}", song_id, attempt))

    async def record(
        self,
        song_id: UUID,
        attempt: int,
        progress: Progress,
        chunks: Sequence[Chunk],
        previous_offset: int | None,
        *,
        changed: bool,
    ) -> None:
        """Writes progress and audio, and renews the lease: call it only when the engine got on.

        `previous_offset` is where the chunk before these begins, None before the first. `changed`: whether
        people see something new, that is, whether this is a revision.

        Raises:
            LeaseLost: nothing was written.
            ChunksLost: the chunk before these is gone.
        """
        whole = await self._database.value(
            "WITH held AS ("
            "  UPDATE songs SET lease_expires_at = now() + make_interval(secs => $3),"
            "    stage = $4, step = $5, steps = $6, eta_s = $7, media_type = $8, stream_bytes = $9,"
            "    first_audio_at = coalesce("
            "      first_audio_at, CASE WHEN cardinality($12::bigint[]) > 0 THEN now() END),"
            "    revision = revision + $10::boolean::int"
            f" WHERE {_HELD} RETURNING id"
            "), kept AS ("
            "  SELECT $11::bigint IS NULL OR EXISTS (SELECT FROM audio_chunks"
            '    WHERE song_id = $1 AND attempt = $2 AND "offset" = $11) AS whole'
            "), written AS ("
            '  INSERT INTO audio_chunks (song_id, attempt, "offset", data)'
            '  SELECT held.id, $2, c."offset", c.data FROM held, kept,'
            '    unnest($12::bigint[], $13::bytea[]) AS c ("offset", data) WHERE kept.whole'
            # A repeat after a broken connection finds its own rows.
            "  ON CONFLICT DO NOTHING"
            ") SELECT kept.whole FROM held, kept",
            song_id, attempt, self.limits.lease_s,
            progress.stage, progress.step, progress.steps, progress.eta_s,
            progress.media_type, progress.stream_bytes, changed,
            previous_offset, [c.offset for c in chunks], [c.data for c in chunks],
        )  # fmt: skip
        if whole is None:
            raise LeaseLost
        if not whole:
            raise ChunksLost

    async def write_lyrics(self, song_id: UUID, attempt: int, lyrics: bytes, title: str) -> str:
        """Keeps the words, for this attempt and those after it, and the title, unless the song was given one
        meanwhile; returns the title that it has. Raises LeaseLost."""
        kept: str = await self._held(
            "UPDATE songs SET lyrics = $3, title = CASE WHEN title = '' THEN $4 ELSE title END,"
            " revision = revision + 1, lease_expires_at = now() + make_interval(secs => $5)"
            f" WHERE {_HELD} RETURNING title",
            song_id, attempt, lyrics, title, self.limits.lease_s,
        )  # fmt: skip
        return kept

    async def finish(self, song_id: UUID, attempt: int, result: Result) -> None:
        """The song is done and its objects are stored. Raises LeaseLost."""
        await self._held(
            "WITH ended AS ("
            "  UPDATE songs SET state = 'SUCCEEDED', lease_expires_at = NULL, ended_at = now(),"
            "    stage = 'done', step = steps, eta_s = 0, failure_reason = '', failure_message = '',"
            "    revision = revision + 1,"
            f"   {', '.join(f'{name} = ${n}' for n, name in enumerate(_RESULT, start=3))}"
            f"  WHERE {_HELD} RETURNING id"
            f"), {_DROP_CHUNKS} SELECT id FROM ended",
            song_id, attempt, *astuple(result),
        )  # fmt: skip

    async def give_back(self, song_id: UUID, attempt: int, delay_s: float) -> None:
        """Queues the song again without counting a failure; at its old place where there is no delay.

        Raises LeaseLost.
        """
        await self._held(
            "WITH ended AS ("
            "  UPDATE songs SET state = 'QUEUED',"
            "   run_at = CASE WHEN $3::float8 > 0 THEN now() + make_interval(secs => $3) ELSE run_at END,"
            f"  {_WAITING}"
            f"  WHERE {_HELD} RETURNING id"
            f"), {_DROP_CHUNKS} SELECT id FROM ended",
            song_id, attempt, delay_s,
        )  # fmt: skip

    async def fail_attempt(self, song_id: UUID, attempt: int, reason: str, message: str) -> None:
        """Counts a failure: queues the song again after a while, or fails it at the limit.

        Raises LeaseLost.
        """
        await self._held(
            "WITH ended AS ("
            "  UPDATE songs SET failure_reason = $3, failure_message = $4,"
            f"   {_FAILED_ONCE_MORE.format(limit='$5', backoff='$6::float8')}"
            f"  WHERE {_HELD} RETURNING id"
            f"), {_DROP_CHUNKS} SELECT id FROM ended",
            song_id, attempt, reason, message, self.limits.max_failures, self.limits.backoff_s,
        )  # fmt: skip

    async def fail_song(self, song_id: UUID, attempt: int, reason: str, message: str) -> None:
        """Fails the song for good. Raises LeaseLost."""
        await self._held(
            "WITH ended AS ("
            "  UPDATE songs SET state = 'FAILED', failures = failures + 1, failure_reason = $3,"
            f"   failure_message = $4, ended_at = now(), {_LEFT} WHERE {_HELD} RETURNING id"
            f"), {_DROP_CHUNKS} SELECT id FROM ended",
            song_id, attempt, reason, message,
        )  # fmt: skip

    async def reap(self) -> list[UUID]:
        """Ends the attempts whose lease ran out, each as a failure; returns their songs."""
        rows = await self._database.rows(
            "WITH expired AS ("
            "  SELECT id FROM songs WHERE state = 'RUNNING' AND lease_expires_at < now()"
            "  FOR UPDATE SKIP LOCKED"
            "), ended AS ("
            "  UPDATE songs SET failure_reason = 'LEASE_EXPIRED',"
            "    failure_message = 'the worker that made this song went silent',"
            f"   {_FAILED_ONCE_MORE.format(limit='$1', backoff='$2::float8')}"
            "  FROM expired WHERE songs.id = expired.id RETURNING songs.id"
            f"), {_DROP_CHUNKS} SELECT id FROM ended",
            self.limits.max_failures, self.limits.backoff_s,
        )  # fmt: skip
        return [row["id"] for row in rows]

    async def _held(self, sql: str, *arguments: object) -> Any:
        """What the statement returns. Raises LeaseLost."""
        if (found := await self._database.value(sql, *arguments)) is None:
            raise LeaseLost
        return found
