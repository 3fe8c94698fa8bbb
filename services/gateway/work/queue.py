"""Songs as workers see them: claim, record, finish, give back, fail, reap. One SQL statement each.

Every statement that a worker makes carries its attempt. Once the song has moved on, it changes nothing and
raises LeaseLost: a stalled worker's late word is never heard.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, TypeVar
from uuid import UUID

from services.gateway.database import Database, DatabaseUnavailable, patiently
from services.gateway.gathering import Gathering
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
class _Record:
    """What `record` is told."""

    song_id: UUID
    attempt: int
    progress: Progress
    chunks: Sequence[Chunk]
    previous_offset: int | None
    changed: bool


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
        self._records: Gathering[_Record, bool | None] = Gathering(self._record_all)

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
        # The songs of a process are written together: one flush of the disk, one turn at telling of news.
        whole = await self._records.ask(_Record(song_id, attempt, progress, chunks, previous_offset, changed))
        if whole is None:
            raise LeaseLost
        if not whole:
            raise ChunksLost

    async def _record_all(self, records: Sequence[_Record]) -> list[bool | None]:
        """For each: whether the chunk before is still there, or None for an attempt that is over."""
        progress = [r.progress for r in records]
        chunks = [(r.song_id, r.attempt, chunk) for r in records for chunk in r.chunks]
        rows = await self._database.rows(
            "WITH said AS ("
            "  SELECT * FROM unnest($2::uuid[], $3::int[], $4::text[], $5::int[], $6::int[], $7::float8[],"
            "    $8::text[], $9::bigint[], $10::boolean[], $11::boolean[], $12::bigint[])"
            "  AS said (song_id, attempt, stage, step, steps, eta_s,"
            "    media_type, stream_bytes, changed, heard, previous)"
            "), held AS ("
            "  UPDATE songs SET lease_expires_at = now() + make_interval(secs => $1),"
            "    stage = said.stage, step = said.step, steps = said.steps, eta_s = said.eta_s,"
            "    media_type = said.media_type, stream_bytes = said.stream_bytes,"
            "    first_audio_at = coalesce(first_audio_at, CASE WHEN said.heard THEN now() END),"
            "    revision = revision + said.changed::int"
            "  FROM said WHERE songs.id = said.song_id AND songs.attempt = said.attempt AND state = 'RUNNING'"
            "  RETURNING said.song_id, said.attempt, said.previous IS NULL OR EXISTS ("
            "    SELECT FROM audio_chunks c WHERE c.song_id = said.song_id AND c.attempt = said.attempt"
            '      AND c."offset" = said.previous) AS whole'
            "), written AS ("
            '  INSERT INTO audio_chunks (song_id, attempt, "offset", data)'
            '  SELECT c.song_id, c.attempt, c."offset", c.data'
            "  FROM unnest($13::uuid[], $14::int[], $15::bigint[], $16::bytea[])"
            '    AS c (song_id, attempt, "offset", data)'
            "  JOIN held ON held.song_id = c.song_id AND held.attempt = c.attempt AND held.whole"
            # A repeat after a broken connection finds its own rows.
            "  ON CONFLICT DO NOTHING"
            ") SELECT song_id, attempt, whole FROM held",
            self.limits.lease_s,
            [r.song_id for r in records], [r.attempt for r in records],
            [p.stage for p in progress], [p.step for p in progress], [p.steps for p in progress],
            [p.eta_s for p in progress], [p.media_type for p in progress], [p.stream_bytes for p in progress],
            [r.changed for r in records], [bool(r.chunks) for r in records],
            [r.previous_offset for r in records],
            [song_id for song_id, _, _ in chunks], [attempt for _, attempt, _ in chunks],
            [c.offset for _, _, c in chunks], [c.data for _, _, c in chunks],
        )  # fmt: skip
        whole = {(row["song_id"], row["attempt"]): row["whole"] for row in rows}
        return [whole.get((r.song_id, r.attempt)) for r in records]

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
