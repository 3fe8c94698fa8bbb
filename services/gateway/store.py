"""Songs as their accounts see them: one SQL statement for each thing that a person can do or read.

Knows nothing of workers (that is `queue`) and of nobody's rights: the account is part of every statement.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.gateway.database import Database
from services.gateway.gathering import Gathering
from services.gateway.models import NewSong, Permit, Pin, Song, State
from services.gateway.quota import DAY, QuotaSpent

# Songs that are read at once where all are.
PAGE = 100

_NEW = tuple(f.name for f in fields(NewSong))
_PERMIT = tuple(f.name for f in fields(Permit))
# Named, not *: an older process must read the rows of a newer schema.
SONG_COLUMNS = ", ".join(f.name for f in fields(Song))


def _contains(word: str) -> str:
    """The pattern of LIKE for whatever has `word` in it."""
    return "%" + re.sub(r"[\\%_]", r"\\\g<0>", word) + "%"


def song_of(row: Mapping[str, Any]) -> Song:
    values = dict(row.items())
    values["state"] = State(values["state"])
    values["instruments"] = tuple(values["instruments"])
    return Song(**values)


@dataclass(frozen=True)
class Filter:
    """Which songs a list has. Empty and None: any."""

    states: tuple[State, ...] = ()
    # each in the title or in the prompt, in any case
    words: tuple[str, ...] = ()
    favourite: bool | None = None
    hidden: bool = False
    batch_id: UUID | None = None
    minted: bool | None = None


@dataclass(frozen=True)
class QueueDepth:
    """What waits, for metrics."""

    queued: int
    running: int
    # Of the longest-waiting song that could run now; 0 when none waits.
    oldest_queued_s: float


_MADE_WITHIN = (
    "SELECT count(*) AS made, min(created_at) AS oldest FROM songs"
    " WHERE account_id = $1 AND created_at > now() - $2::interval"
)


async def require_left(
    transaction: Database, account_id: UUID, request_id: str | None, more: int, per_day: int
) -> None:
    """Returns if the account may ask for so many songs more, or has asked for just these before. Until the
    transaction ends no other one of the account is let by.

    Raises:
        QuotaSpent: it may not.
    """
    await transaction.value("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"songs of {account_id}")
    repeats = (
        "SELECT true FROM songs WHERE account_id = $1 AND request_id = $2"
        " UNION ALL SELECT true FROM batches WHERE account_id = $1 AND request_id = $2 LIMIT 1"
    )
    if request_id is not None and await transaction.value(repeats, account_id, request_id):
        return
    row = await transaction.row(_MADE_WITHIN, account_id, DAY)
    if row is not None and row["made"] + more > per_day:
        raise QuotaSpent(per_day, (row["oldest"] or datetime.now(UTC)) + DAY)


async def every(store: "Store", account_id: UUID) -> AsyncIterator[Song]:
    """All songs of an account that are not deleted, hidden ones too, newest first."""
    for hidden in (False, True):
        after = None
        while page := await store.page(account_id, Filter(hidden=hidden), PAGE, after):
            for song in page:
                yield song
            after = (page[-1].created_at, page[-1].id)


class Store:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads: Gathering[tuple[UUID, UUID], Song | None] = Gathering(self._get_all)

    async def enter_account(self, account_id: UUID, tier: str) -> None:
        """Makes the account known, and of this tier. Repeatable."""
        await self._database.row(
            "INSERT INTO accounts (id, tier) VALUES ($1, $2)"
            " ON CONFLICT (id) DO UPDATE SET tier = EXCLUDED.tier WHERE accounts.tier <> EXCLUDED.tier",
            account_id, tier,
        )  # fmt: skip

    async def create(self, new: NewSong, *, per_day: int = 0) -> Song:
        """The song made, or the one that this account made earlier under the same request_id.

        `per_day`: songs that the account may make within 24 hours; 0: any number.

        Raises:
            QuotaSpent: they are made.
        """
        if not per_day:
            return await self._insert(self._database, new)
        async with self._database.transaction() as transaction:
            await require_left(transaction, new.account_id, new.request_id, 1, per_day)
            return await self._insert(transaction, new)

    async def _insert(self, database: Database, new: NewSong) -> Song:
        row = await database.row(
            # The conflict's update changes nothing; it is what makes the earlier row come back.
            f"INSERT INTO songs ({', '.join(_NEW)})"
            f" VALUES ({', '.join(f'${n}' for n in range(1, len(_NEW) + 1))})"
            " ON CONFLICT (account_id, request_id) DO UPDATE SET request_id = EXCLUDED.request_id"
            f" RETURNING {SONG_COLUMNS}",
            *astuple(new),
        )
        assert row is not None
        return song_of(row)

    async def made_within(self, account_id: UUID, span: timedelta) -> tuple[int, datetime | None]:
        """(how many songs the account asked for lately, when the first of them); deleted ones count."""
        row = await self._database.row(_MADE_WITHIN, account_id, span)
        assert row is not None
        return row["made"], row["oldest"]

    async def get(self, account_id: UUID, song_id: UUID) -> Song | None:
        # After every step of every song each of its watchers asks: they read together.
        return await self._reads.ask((account_id, song_id))

    async def _get_all(self, asked: Sequence[tuple[UUID, UUID]]) -> list[Song | None]:
        rows = await self._database.rows(
            f"SELECT {SONG_COLUMNS} FROM songs WHERE deleted_at IS NULL"
            " AND (account_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
            [account_id for account_id, _ in asked], [song_id for _, song_id in asked],
        )  # fmt: skip
        found = {(song.account_id, song.id): song for song in map(song_of, rows)}
        return [found.get(key) for key in asked]

    async def chain(self, song_id: UUID) -> list[bytes]:
        """The envelopes of a finished song: its own, then that of the song it was made from, and so on."""
        rows = await self._database.rows(
            "WITH RECURSIVE chain AS ("
            "  SELECT source_song_id, envelope, 1 AS place FROM songs WHERE id = $1"
            "  UNION ALL SELECT s.source_song_id, s.envelope, place + 1"
            "  FROM songs s JOIN chain ON s.id = chain.source_song_id"
            ") SELECT envelope FROM chain ORDER BY place",
            song_id,
        )
        return [row["envelope"] for row in rows]

    async def page(
        self, account_id: UUID, wanted: Filter, limit: int, after: tuple[datetime, UUID] | None
    ) -> list[Song]:
        """At most `limit` songs, newest first, those after `after` (creation time, id) in that order."""
        moment, song_id = after if after else (None, None)
        rows = await self._database.rows(
            f"SELECT {SONG_COLUMNS} FROM songs WHERE account_id = $1 AND deleted_at IS NULL AND hidden = $5"
            " AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))"
            " AND (cardinality($6::text[]) = 0 OR state = ANY ($6))"
            " AND ($7::boolean IS NULL OR favourite = $7) AND ($8::uuid IS NULL OR batch_id = $8)"
            " AND concat(title, chr(10), prompt) ILIKE ALL ($9::text[])"
            " AND ($10::boolean IS NULL OR (mint_state = 'MINTED') = $10)"
            " ORDER BY created_at DESC, id DESC LIMIT $4",
            account_id, moment, song_id, limit, wanted.hidden, list(wanted.states), wanted.favourite,
            wanted.batch_id, list(map(_contains, wanted.words)), wanted.minted,
        )  # fmt: skip
        return [song_of(row) for row in rows]

    async def cancel(self, account_id: UUID, song_id: UUID) -> None:
        """Ends a song that has not ended; anything else is left as it is."""
        await self._database.row(
            "WITH ended AS ("
            "  UPDATE songs SET state = 'CANCELLED', lease_expires_at = NULL, ended_at = now(), eta_s = 0,"
            "    revision = revision + 1"
            "  WHERE id = $1 AND account_id = $2 AND state IN ('QUEUED', 'RUNNING') RETURNING id)"
            " DELETE FROM audio_chunks USING ended WHERE song_id = ended.id",
            song_id, account_id,
        )  # fmt: skip

    async def pin(self, song_id: UUID, metadata_cid: str, image_cid: str, pins: Sequence[Pin]) -> None:
        """Pins the files of a save and fixes the song's metadata, unless it has some already."""
        await self._database.row(
            "WITH fixed AS ("
            "  UPDATE songs SET metadata_cid = $2, image_cid = $3"
            "  WHERE id = $1 AND state = 'SUCCEEDED' AND metadata_cid = '' AND deleted_at IS NULL"
            "  RETURNING id)"
            " INSERT INTO pins (cid, object_key, media_type, bytes)"
            " SELECT p.cid, p.object_key, p.media_type, p.bytes FROM fixed,"
            "   unnest($4::text[], $5::text[], $6::text[], $7::bigint[])"
            "   AS p (cid, object_key, media_type, bytes)"
            " ON CONFLICT DO NOTHING",
            song_id, metadata_cid, image_cid,
            [p.cid for p in pins], [p.object_key for p in pins],
            [p.media_type for p in pins], [p.bytes for p in pins],
        )  # fmt: skip

    async def ask_permit(self, song_id: UUID) -> bool:
        """Notes that a permit is asked for, after which the song stays. False if it is deleted already."""
        return bool(
            await self._database.value(
                "UPDATE songs SET permit_asked_at = coalesce(permit_asked_at, now())"
                " WHERE id = $1 AND deleted_at IS NULL RETURNING true",
                song_id,
            )
        )

    async def no_permit(self, song_id: UUID) -> None:
        """Notes that it was refused, and that none was given before."""
        await self._database.value(
            "UPDATE songs SET permit_asked_at = NULL WHERE id = $1 AND saved_at IS NULL", song_id
        )

    async def save(self, song_id: UUID, permit: Permit) -> None:
        """Records the permit, and with it that the song is saved."""
        await self._database.row(
            f"UPDATE songs SET saved_at = coalesce(saved_at, now()), revision = revision + 1,"
            f" {', '.join(f'{name} = ${n}' for n, name in enumerate(_PERMIT, start=2))} WHERE id = $1",
            song_id, *astuple(permit),
        )  # fmt: skip

    async def pinned(self, cid: str) -> Pin | None:
        row = await self._database.row(
            "SELECT cid, object_key, media_type, bytes FROM pins WHERE cid = $1 AND NOT withheld", cid
        )
        return Pin(**dict(row.items())) if row is not None else None

    async def depth(self) -> QueueDepth:
        row = await self._database.row(
            "SELECT count(*) FILTER (WHERE state = 'QUEUED') AS queued,"
            " count(*) FILTER (WHERE state = 'RUNNING') AS running,"
            " coalesce(extract(epoch FROM now() - min(run_at)"
            "   FILTER (WHERE state = 'QUEUED' AND run_at <= now())), 0)::float8 AS oldest_queued_s"
            " FROM songs WHERE state IN ('QUEUED', 'RUNNING')"
        )
        assert row is not None
        return QueueDepth(**dict(row.items()))

    async def ping(self) -> None:
        """Raises DatabaseUnavailable when the database is."""
        await self._database.value("SELECT 1")
