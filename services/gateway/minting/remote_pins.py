"""What other places were asked to pin, and what became of it: the rows behind the keeper.

Knows no place. A song's `pin_state` is the least that any of its files has come to anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.gateway.database import Database
from services.gateway.minting.pinning import Held
from services.gateway.models import PinState

# Whoever sees to a pin has this long, before another does.
LEASE_S = 120.0
# Deleted or withheld: to be taken away there.
UNWANTED = "UNWANTED"

_COLUMNS = "r.cid, r.place, r.song_id, r.state, r.request_id, r.looks"
_SONG_STATE = (
    "coalesce((SELECT state FROM remote_pins WHERE song_id = $1 AND state <> 'UNWANTED'"
    " ORDER BY array_position($2::text[], state) LIMIT 1), '')"
)


@dataclass(frozen=True)
class RemotePin:
    cid: str
    place: str
    song_id: UUID
    # a PinState, or UNWANTED
    state: str
    # "": the place has not taken it yet
    request_id: str
    looks: int
    # Of the gateway's own pin; None and 0 once that is gone.
    object_key: str | None
    media_type: str | None
    bytes: int | None


class RemotePins:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, song_id: UUID, cids: Sequence[str], place: str) -> list[RemotePin]:
        """Enters a song's files for a place; returns those that it has not taken yet."""
        await self._database.value(
            "INSERT INTO remote_pins (cid, place, song_id, look_at)"
            " SELECT cid, $3, $1, now() + make_interval(secs => $4) FROM pins WHERE cid = ANY ($2)"
            " AND NOT withheld"
            " ON CONFLICT DO NOTHING",
            song_id, list(cids), place, LEASE_S,
        )  # fmt: skip
        rows = await self._database.rows(
            f"SELECT {_COLUMNS}, object_key, media_type, bytes FROM remote_pins r JOIN pins USING (cid)"
            " WHERE song_id = $1 AND cid = ANY ($2) AND place = $3 AND request_id = '' AND state <> $4",
            song_id, list(cids), place, UNWANTED,
        )  # fmt: skip
        return [RemotePin(**row) for row in rows]

    async def enter_saved(self, places: Sequence[str]) -> None:
        """Enters what was saved before a place was set."""
        await self._database.value(
            "INSERT INTO remote_pins (cid, place, song_id)"
            " SELECT cid, place, s.id FROM songs s"
            " CROSS JOIN LATERAL unnest(ARRAY[s.audio_cid, s.metadata_cid, s.image_cid]) AS cid"
            " JOIN pins USING (cid) CROSS JOIN unnest($1::text[]) AS place"
            " WHERE s.metadata_cid <> '' AND s.deleted_at IS NULL AND NOT withheld ON CONFLICT DO NOTHING",
            list(places),
        )

    async def due(self, places: Sequence[str]) -> RemotePin | None:
        """One that is to be seen to at one of these places, under a lease."""
        row = await self._database.row(
            "WITH due AS ("
            "  SELECT cid, place FROM remote_pins WHERE look_at <= now() AND place = ANY ($1)"
            "  ORDER BY look_at LIMIT 1 FOR UPDATE SKIP LOCKED"
            "), taken AS ("
            "  UPDATE remote_pins r SET look_at = now() + make_interval(secs => $2)"
            f"  FROM due WHERE r.cid = due.cid AND r.place = due.place RETURNING {_COLUMNS})"
            " SELECT taken.*, object_key, media_type, bytes FROM taken LEFT JOIN pins USING (cid)",
            list(places), LEASE_S,
        )  # fmt: skip
        return None if row is None else RemotePin(**row)

    async def note(self, pin: RemotePin, held: Held, look_in_s: float | None) -> None:
        """Writes what the place makes of it, and when to look again (None: never)."""
        async with self._database.transaction() as transaction:
            await self._lock_song(transaction, pin)
            await transaction.value(
                "UPDATE remote_pins SET request_id = $4, message = $5,"
                "  looks = CASE WHEN state = $3 THEN looks + 1 ELSE 1 END,"
                "  state = CASE WHEN state = 'UNWANTED' THEN state ELSE $3 END,"
                "  look_at = CASE WHEN state = 'UNWANTED' THEN now()"
                "    ELSE coalesce(now() + make_interval(secs => $6), 'infinity') END"
                " WHERE cid = $1 AND place = $2",
                pin.cid, pin.place, held.state.value, held.request_id, held.message, look_in_s,
            )  # fmt: skip
            await self._tell_song(transaction, pin)

    async def put_off(self, pin: RemotePin, why: str, look_in_s: float) -> None:
        """Notes that the place could not be asked."""
        await self._database.value(
            "UPDATE remote_pins SET looks = looks + 1, message = $3,"
            " look_at = now() + make_interval(secs => $4) WHERE cid = $1 AND place = $2",
            pin.cid, pin.place, why, look_in_s,
        )  # fmt: skip

    async def gone(self, pin: RemotePin) -> None:
        """Notes that what is unwanted is not there any more. What is only withheld may be wanted again."""
        async with self._database.transaction() as transaction:
            await self._lock_song(transaction, pin)
            await transaction.value(
                "UPDATE remote_pins SET request_id = '', look_at = 'infinity'"
                " WHERE cid = $1 AND place = $2 AND state = 'UNWANTED'",
                pin.cid, pin.place,
            )  # fmt: skip
            await transaction.value(
                "DELETE FROM remote_pins r WHERE cid = $1 AND place = $2 AND state = 'UNWANTED'"
                " AND NOT EXISTS (SELECT FROM pins WHERE cid = r.cid)",
                pin.cid, pin.place,
            )  # fmt: skip
            await self._tell_song(transaction, pin)

    async def _lock_song(self, transaction: Database, pin: RemotePin) -> None:
        """The files of a song are seen to at the same time: who writes last has to see all the others."""
        await transaction.value("SELECT id FROM songs WHERE id = $1 FOR UPDATE", pin.song_id)

    async def _tell_song(self, transaction: Database, pin: RemotePin) -> None:
        await transaction.value(
            f"UPDATE songs SET pin_state = {_SONG_STATE}, revision = revision + 1"
            f" WHERE id = $1 AND pin_state <> {_SONG_STATE}",
            pin.song_id, list(PinState),
        )  # fmt: skip
