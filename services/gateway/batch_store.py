"""Batches as their accounts see them: one SQL statement for each thing that can be done or read.

Knows the rows. What a batch may be is `batches`'.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any
from uuid import UUID

from services.gateway.database import Database
from services.gateway.models import Batch, NewBatch, NewSong, Song
from services.gateway.store import SONG_COLUMNS, require_left, song_of

_NEW = ", ".join(f.name for f in fields(NewSong))
_IN_ORDER = "now() + batch_index * interval '1 microsecond'"
_BATCH = ", ".join(f.name for f in fields(Batch))


class BatchStore:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, new: NewBatch, *, per_day: int = 0) -> Batch:
        """The batch made with all of its songs, or the one that this account made earlier under the same
        request_id. `per_day` as for a song.

        Raises:
            QuotaSpent: it would be more songs than that.
        """
        if not per_day:
            return await self._insert(self._database, new)
        async with self._database.transaction() as transaction:
            await require_left(transaction, new.account_id, new.request_id, len(new.songs), per_day)
            return await self._insert(transaction, new)

    async def _insert(self, database: Database, new: NewBatch) -> Batch:
        row = await database.row(
            # The conflict's update changes nothing; it is what makes the earlier row come back.
            "WITH batch AS ("
            "  INSERT INTO batches (id, account_id, request_id, request_digest) VALUES ($1, $2, $3, $4)"
            "  ON CONFLICT (account_id, request_id) DO UPDATE SET request_id = EXCLUDED.request_id"
            f" RETURNING {_BATCH}"
            "), queued AS ("
            # One moment after another, so that they are begun and listed in their order.
            f" INSERT INTO songs ({_NEW}, run_at, created_at)"
            f" SELECT {_NEW}, {_IN_ORDER}, {_IN_ORDER} FROM jsonb_populate_recordset(NULL::songs, $5::jsonb)"
            "  WHERE EXISTS (SELECT FROM batch WHERE id = $1)"
            f") SELECT {_BATCH} FROM batch",
            new.id, new.account_id, new.request_id, new.request_digest,
            json.dumps([asdict(song) for song in new.songs], ensure_ascii=False, default=_as_json),
        )  # fmt: skip
        assert row is not None
        return Batch(**row)

    async def get(self, account_id: UUID, batch_id: UUID) -> Batch | None:
        row = await self._database.row(
            f"SELECT {_BATCH} FROM batches WHERE id = $1 AND account_id = $2", batch_id, account_id
        )
        return None if row is None else Batch(**row)

    async def changed(self, account_id: UUID, batch_id: UUID, known: Mapping[int, int]) -> list[Song]:
        """The batch's songs in their order, without those whose revision is `known` (by their index in the
        batch), but with those that are deleted."""
        rows = await self._database.rows(
            f"SELECT {SONG_COLUMNS} FROM songs"
            " LEFT JOIN unnest($3::integer[], $4::integer[]) AS known (at, seen) ON at = batch_index"
            " WHERE batch_id = $2 AND account_id = $1 AND revision IS DISTINCT FROM seen"
            " ORDER BY batch_index",
            account_id, batch_id, list(known), list(known.values()),
        )  # fmt: skip
        return [song_of(row) for row in rows]

    async def cancel(self, account_id: UUID, batch_id: UUID) -> None:
        """Ends the batch's songs that have not ended."""
        await self._database.row(
            "WITH ended AS ("
            "  UPDATE songs SET state = 'CANCELLED', lease_expires_at = NULL, ended_at = now(), eta_s = 0,"
            "    revision = revision + 1"
            "  WHERE batch_id = $2 AND account_id = $1 AND state IN ('QUEUED', 'RUNNING') RETURNING id)"
            " DELETE FROM audio_chunks USING ended WHERE song_id = ended.id",
            account_id, batch_id,
        )  # fmt: skip


def _as_json(value: Any) -> str:
    """Of what JSON has no word for, the text that PostgreSQL reads."""
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
