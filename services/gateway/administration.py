"""What operators do at the database: tiers of accounts, songs taken down, credentials of internal services.

One statement for each. Knows no transport; `admin` is the command line over it.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.gateway.database import Database

_CIDS = "ARRAY[audio_cid, metadata_cid, image_cid]"


@dataclass(frozen=True)
class AccountEntry:
    id: UUID
    tier: str
    created_at: datetime
    deleted_at: datetime | None
    wallets: tuple[str, ...]
    songs: int


class Administration:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, who: str) -> AccountEntry | None:
        """By id or by a wallet's address (EIP-55)."""
        row = await self._database.row(
            "SELECT id, tier, created_at, deleted_at,"
            " ARRAY(SELECT address FROM wallets WHERE account_id = a.id ORDER BY linked_at, address)"
            "   AS wallets,"
            " (SELECT count(*) FROM songs WHERE account_id = a.id AND songs.deleted_at IS NULL) AS songs"
            " FROM accounts a WHERE id::text = $1"
            " OR id = (SELECT account_id FROM wallets WHERE lower(address) = lower($1))",
            who,
        )
        return None if row is None else AccountEntry(**{**row, "wallets": tuple(row["wallets"])})

    async def set_tier(self, account_id: UUID, tier: str) -> None:
        """Songs that wait keep the priority that they were asked for with."""
        await self._database.value("UPDATE accounts SET tier = $2 WHERE id = $1", account_id, tier)

    async def take_down(self, song_id: UUID, reason: str) -> bool:
        """Withholds a song from everyone, and its files from /ipfs. False: there is none. Repeatable."""
        return await self._withhold(song_id, reason)

    async def restore(self, song_id: UUID) -> bool:
        """Takes that back. False: there is none. Its share link is not restored: it is gone."""
        return await self._withhold(song_id, None)

    async def _withhold(self, song_id: UUID, reason: str | None) -> bool:
        found = await self._database.value(
            "WITH song AS ("
            "  UPDATE songs SET takedown_reason = coalesce($2, ''), revision = revision + 1,"
            "    taken_down_at = CASE WHEN $2 IS NULL THEN NULL ELSE coalesce(taken_down_at, now()) END,"
            "    share_token = CASE WHEN $2 IS NULL THEN share_token END"
            f" WHERE id = $1 AND deleted_at IS NULL RETURNING {_CIDS} AS cids"
            "), pinned AS ("
            "  UPDATE pins SET withheld = $2 IS NOT NULL FROM song WHERE cid = ANY (song.cids) AND cid <> ''"
            ") SELECT true FROM song",
            song_id, reason,
        )  # fmt: skip
        return bool(found)
