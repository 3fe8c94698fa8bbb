"""Songs as their accounts arrange them: renamed, hidden, shared, retried, deleted. One statement for each.

Knows the rows. What may be done when is in the statements' conditions; who says why not is `arranging`.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.gateway.database import Database
from services.gateway.models import Song, State
from services.gateway.store import SONG_COLUMNS, song_of

_MINE = "id = $1 AND account_id = $2 AND deleted_at IS NULL"
# As if it had never been begun; `attempt` goes on, so that whoever made it before is heard no more.
_AGAIN = (
    "state = 'QUEUED', run_at = now(), failures = 0, failure_reason = '', failure_message = '',"
    " ended_at = NULL, stage = 'queued', step = 0, steps = 0, eta_s = 0, started_at = NULL,"
    " first_audio_at = NULL, revision = revision + 1"
)
# The most of a family that is told.
LARGEST_FAMILY = 1000


@dataclass(frozen=True)
class Member:
    """A song among those that it was made from and that were made from it. Field names are the columns'."""

    id: UUID
    source_song_id: UUID | None
    edit: bytes | None
    title: str
    state: State
    duration_s: float
    created_at: datetime
    favourite: bool
    deleted: bool


@dataclass(frozen=True)
class Failed:
    """A song that has failed for good, and nothing of what it is about. Field names are the columns'."""

    id: UUID
    account_id: UUID
    state: State
    failure_reason: str
    failure_message: str
    attempt: int
    failures: int
    created_at: datetime
    ended_at: datetime | None


_FAILED = "id, account_id, state, failure_reason, failure_message, attempt, failures, created_at, ended_at"


class Shelf:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def update(
        self, account_id: UUID, song_id: UUID, title: str | None, favourite: bool | None, hidden: bool | None
    ) -> Song | None:
        """The song with what is not None changed; a revision only if that is something new."""
        row = await self._database.row(
            "UPDATE songs SET title = coalesce($3, title), favourite = coalesce($4, favourite),"
            " hidden = coalesce($5, hidden), revision = revision + (row(title, favourite, hidden)"
            "   <> row(coalesce($3, title), coalesce($4, favourite), coalesce($5, hidden)))::int"
            f" WHERE {_MINE} RETURNING {SONG_COLUMNS}",
            song_id, account_id, title, favourite, hidden,
        )  # fmt: skip
        return None if row is None else song_of(row)

    async def retry(self, account_id: UUID, song_id: UUID) -> None:
        """Queues a song that has failed or was cancelled; anything else is left as it is."""
        await self._database.value(
            f"UPDATE songs SET {_AGAIN} WHERE {_MINE} AND state IN ('FAILED', 'CANCELLED')",
            song_id, account_id,
        )  # fmt: skip

    async def delete(self, account_id: UUID, song_id: UUID) -> bool | None:
        """True: it is gone, now or since before. False: a permit may be out. None: there is none."""
        deletable: bool | None = await self._database.value(
            "WITH found AS ("
            "  SELECT id, deleted_at IS NOT NULL"
            "    OR (saved_at IS NULL AND permit_asked_at IS NULL) AS deletable"
            "  FROM songs WHERE id = $1 AND account_id = $2 FOR UPDATE"
            "), gone AS ("
            "  UPDATE songs s SET deleted_at = now(), share_token = NULL, prompt = '', title = '',"
            "    given_lyrics = '', lyrics = NULL, reading = NULL, failure_message = '',"
            "    lease_expires_at = NULL, eta_s = 0,"
            "    state = CASE WHEN state IN ('QUEUED', 'RUNNING') THEN 'CANCELLED' ELSE state END,"
            "    ended_at = coalesce(ended_at, now()), revision = revision + 1"
            "  FROM found WHERE s.id = found.id AND deletable AND deleted_at IS NULL"
            "  RETURNING s.id, ARRAY[s.audio_cid, s.metadata_cid, s.image_cid] AS cids,"
            "    ARRAY[s.audio_sha256, s.master_sha256, s.state_sha256, s.timeline_sha256] AS hashes"
            "), chunks AS (DELETE FROM audio_chunks USING gone WHERE song_id = gone.id"
            # The song's hash is in all three: no other song has them.
            "), unpinned AS (DELETE FROM pins USING gone WHERE cid = ANY (gone.cids) RETURNING pins.sha256"
            "), unnamed AS (UPDATE objects SET look_at = now() WHERE sha256 IN ("
            "    SELECT unnest(hashes) FROM gone UNION SELECT sha256 FROM unpinned))"
            " SELECT deletable FROM found",
            song_id, account_id,
        )  # fmt: skip
        return deletable

    async def share(self, account_id: UUID, song_id: UUID, token: str) -> Song | None:
        """The song with the token that it has, or else with this one; None for none that is done."""
        row = await self._database.row(
            "UPDATE songs SET share_token = coalesce(share_token, $3),"
            " revision = revision + (share_token IS NULL)::int"
            f" WHERE {_MINE} AND state = 'SUCCEEDED' AND taken_down_at IS NULL RETURNING {SONG_COLUMNS}",
            song_id, account_id, token,
        )  # fmt: skip
        return None if row is None else song_of(row)

    async def unshare(self, account_id: UUID, song_id: UUID) -> Song | None:
        row = await self._database.row(
            "UPDATE songs SET share_token = NULL, revision = revision + (share_token IS NOT NULL)::int"
            f" WHERE {_MINE} RETURNING {SONG_COLUMNS}",
            song_id, account_id,
        )  # fmt: skip
        return None if row is None else song_of(row)

    async def shared(self, token: str) -> Song | None:
        row = await self._database.row(
            f"SELECT {SONG_COLUMNS} FROM songs WHERE share_token = $1 AND deleted_at IS NULL"
            " AND taken_down_at IS NULL",
            token,
        )
        return None if row is None else song_of(row)

    async def family(self, account_id: UUID, song_id: UUID) -> list[Member]:
        """All that the song comes from, then all else that was made from the first of them, by creation; at
        most one more than LARGEST_FAMILY. Empty for no song."""
        rows = await self._database.rows(
            "WITH RECURSIVE up AS ("
            f"  SELECT id, source_song_id FROM songs WHERE {_MINE}"
            "  UNION ALL SELECT s.id, s.source_song_id FROM songs s JOIN up ON s.id = up.source_song_id"
            "), down AS ("
            "  SELECT id FROM up WHERE source_song_id IS NULL"
            "  UNION ALL SELECT s.id FROM songs s JOIN down ON s.source_song_id = down.id"
            ") SELECT id, source_song_id, edit, title, state, duration_s, created_at, favourite,"
            "  deleted_at IS NOT NULL AS deleted FROM songs JOIN down USING (id)"
            "  ORDER BY id IN (SELECT id FROM up) DESC, created_at, id LIMIT $3",
            song_id, account_id, LARGEST_FAMILY + 1,
        )  # fmt: skip
        return [Member(**{**row, "state": State(row["state"])}) for row in rows]

    async def failed(self, limit: int, after: tuple[datetime, UUID] | None) -> list[Failed]:
        """At most `limit` failed songs of everybody, the latest first, those behind `after` (end, id)."""
        moment, song_id = after if after else (None, None)
        rows = await self._database.rows(
            f"SELECT {_FAILED} FROM songs WHERE state = 'FAILED' AND deleted_at IS NULL"
            " AND ($1::timestamptz IS NULL OR (ended_at, id) < ($1, $2::uuid))"
            " ORDER BY ended_at DESC, id DESC LIMIT $3",
            moment, song_id, limit,
        )  # fmt: skip
        return [Failed(**{**row, "state": State(row["state"])}) for row in rows]

    async def requeue(self, song_id: UUID) -> Failed | None:
        """The song, queued again if it had failed; None for none."""
        row = await self._database.row(
            f"WITH again AS (UPDATE songs SET {_AGAIN} WHERE id = $1 AND state = 'FAILED'"
            f"   AND deleted_at IS NULL RETURNING {_FAILED})"
            f" SELECT {_FAILED} FROM again UNION ALL (SELECT {_FAILED} FROM songs WHERE id = $1"
            "   AND deleted_at IS NULL AND NOT EXISTS (SELECT FROM again))",
            song_id,
        )
        return None if row is None else Failed(**{**row, "state": State(row["state"])})
