"""What nobody names any more is taken away: objects of songs that were deleted or never finished, old audio.

Knows the list of objects and who may name one. A hash that is being written at this moment is left alone:
whoever writes enters it first (see `objects`), and the row's lock keeps the two apart.
"""

import asyncio
import logging
from contextlib import suppress

from services.common.errors import Unavailable
from services.gateway import metrics
from services.gateway.database import Database
from services.gateway.objects import Objects, key_of

_log = logging.getLogger(__name__)

_NAMED = (
    "EXISTS (SELECT FROM songs WHERE audio_sha256 = o.sha256 AND deleted_at IS NULL)"
    " OR EXISTS (SELECT FROM songs WHERE master_sha256 = o.sha256 AND deleted_at IS NULL)"
    " OR EXISTS (SELECT FROM songs WHERE state_sha256 = o.sha256 AND deleted_at IS NULL)"
    " OR EXISTS (SELECT FROM songs WHERE timeline_sha256 = o.sha256 AND deleted_at IS NULL)"
    " OR EXISTS (SELECT FROM pins WHERE sha256 = o.sha256)"
)


class Sweeper:
    """Every replica may have one."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    async def run(self, every_s: float) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            with suppress(Unavailable):
                swept = await self.sweep()
                if swept:
                    _log.info("objects swept", extra={"objects": swept})

    async def sweep(self) -> int:
        """Takes away what is due and not named; returns how many objects. Raises Unavailable."""
        await self._database.value(
            "DELETE FROM audio_chunks c WHERE NOT EXISTS (SELECT FROM songs s"
            " WHERE s.id = c.song_id AND s.attempt = c.attempt AND s.state = 'RUNNING')"
        )
        swept = 0
        while (gone := await self._look_at_one()) is not None:
            swept += gone
        return swept

    async def _look_at_one(self) -> bool | None:
        """Whether the next object that is due was taken away; None when none is due."""
        async with self._database.transaction() as transaction:
            row = await transaction.row(
                f"SELECT sha256, {_NAMED} AS named FROM objects o WHERE look_at <= now()"
                " ORDER BY look_at LIMIT 1 FOR UPDATE OF o SKIP LOCKED"
            )
            if row is None:
                return None
            if row["named"]:
                # Until the song is deleted, which asks for another look.
                await transaction.value(
                    "UPDATE objects SET look_at = 'infinity' WHERE sha256 = $1", row["sha256"]
                )
                return False
            await self._objects.remove(key_of(row["sha256"]))
            await transaction.value("DELETE FROM objects WHERE sha256 = $1", row["sha256"])
        metrics.SWEPT.inc()
        return True
