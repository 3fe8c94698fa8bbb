"""Pause and resume: one row in the ledger's database, which every replica asks before every permit.

Knows who used the switch when and why, and keeps it; knows nothing of permits.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.common.errors import FailedPrecondition, InvalidField
from services.signer.database import Database

MAX_REASON_CHARACTERS = 200

# Both wait for whoever holds the row, which is who permits something new: once they return, nothing new is.
_PAUSE = """
WITH used AS (INSERT INTO signer.switch_uses (caller, use, reason) VALUES ($1, 'pause', $2))
UPDATE signer.switch SET paused_since = coalesce(paused_since, clock_timestamp()), reason = $2
RETURNING paused_since
"""
_RESUME = """
WITH used AS (INSERT INTO signer.switch_uses (caller, use) VALUES ($1, 'resume'))
UPDATE signer.switch SET paused_since = NULL, reason = NULL WHERE paused_since IS NOT NULL RETURNING true
"""
_READ = "SELECT paused_since IS NOT NULL FROM signer.switch"


@dataclass(frozen=True)
class Switch:
    database: Database

    async def pause(self, reason: str, caller: str) -> datetime:
        """Since when it is paused. Pausing again keeps the time and takes the new reason.

        Raises:
            InvalidField: REQUIRED, TOO_LONG or MALFORMED reason.
            Unavailable: LEDGER_UNAVAILABLE; it may or may not be paused: ask again.
        """
        _check_reason(reason)
        since: Any = await self._fetch(_PAUSE, caller, reason)
        assert isinstance(since, datetime)
        return since

    async def resume(self, caller: str) -> bool:
        """Whether it was paused. Raises Unavailable."""
        return bool(await self._fetch(_RESUME, caller))

    async def paused(self) -> bool:
        """Raises Unavailable."""
        return bool(await self._fetch(_READ))

    async def _fetch(self, sql: str, *values: str) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(sql, *values)


def paused(reason: str) -> FailedPrecondition:
    """The refusal of a permit while signing is paused."""
    return FailedPrecondition(
        "PAUSED", f"an operator has paused the signer: {reason}", metadata={"rule": "pause"}
    )


def _check_reason(reason: str) -> None:
    limit = f"1 to {MAX_REASON_CHARACTERS} printable characters"
    if not reason.strip():
        raise InvalidField("REQUIRED", "reason", "reason is missing", limit=limit)
    if len(reason) > MAX_REASON_CHARACTERS:
        raise InvalidField("TOO_LONG", "reason", f"reason has {len(reason)} characters", limit=limit)
    if not reason.isprintable():
        raise InvalidField("MALFORMED", "reason", "reason has characters that cannot be shown", limit=limit)
