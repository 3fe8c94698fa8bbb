"""The audit: one line for every request for a permit, written once, never changed, read newest first.

Knows who asked for what and what became of it; decides nothing. Every value is bounded before it is written.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.common.errors import InvalidField
from services.signer.database import Database
from services.signer.request import Legible, PermitFormat

MAX_CALLER_CHARACTERS = 256
MAX_LABEL_CHARACTERS = 64
MAX_PAGE = 500
DEFAULT_PAGE = 50

_FIELDS = (
    "caller", "verdict", "reason", "rule", "audio_hash", "recipient", "metadata_uri", "format", "chain_id",
    "contract", "song_id", "signer", "deadline",
)  # fmt: skip
COLUMNS = ", ".join(_FIELDS)
COLUMN_COUNT = len(_FIELDS)
# Number of each column's parameter, from 1. Parameters that only stand in a SELECT need their type said.
PLACE = {name: number for number, name in enumerate(_FIELDS, 1)}
_TYPES = {
    "audio_hash": "bytea", "recipient": "bytea", "contract": "bytea", "signer": "bytea", "chain_id": "bigint",
    "deadline": "timestamptz",
}  # fmt: skip
PLACEHOLDERS = ", ".join(f"${PLACE[name]}::{_TYPES.get(name, 'text')}" for name in _FIELDS)

_WRITE = f"INSERT INTO signer.audit ({COLUMNS}) VALUES ({PLACEHOLDERS})"

LIST = f"""
SELECT id, at, {COLUMNS} FROM signer.audit
 WHERE id < $1 AND ($2::bytea IS NULL OR audio_hash = $2) AND ($3::bytea IS NULL OR recipient = $3)
   AND ($4::text IS NULL OR verdict = $4) AND ($5::timestamptz IS NULL OR at >= $5)
   AND ($6::timestamptz IS NULL OR at < $6)
 ORDER BY id DESC LIMIT $7
"""
_ID_AFTER_ALL = 2**63 - 1


class Verdict(StrEnum):
    PERMITTED = "permitted"
    REPEATED = "repeated"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One request and what became of it.

    `reason` and `rule` are of a refusal, `signer` and `deadline` of a permit.
    """

    caller: str
    verdict: Verdict
    asked: Legible
    song_id: str | None
    reason: str | None = None
    rule: str | None = None
    signer: bytes | None = None
    deadline: datetime | None = None

    def values(self) -> Sequence[object]:
        """In the order of `COLUMNS`."""
        asked = self.asked
        return (
            self.caller[:MAX_CALLER_CHARACTERS],
            self.verdict.value,
            self.reason and self.reason[:MAX_LABEL_CHARACTERS],
            self.rule and self.rule[:MAX_LABEL_CHARACTERS],
            asked.audio_hash,
            asked.to,
            asked.metadata_uri,
            asked.format and asked.format.value,
            asked.chain_id,
            asked.contract,
            self.song_id,
            self.signer,
            self.deadline,
        )


@dataclass(frozen=True)
class Written:
    """A line as it stands in the audit."""

    id: int
    at: datetime
    line: Line


@dataclass(frozen=True)
class Filter:
    """Which lines; None leaves everything in. `since` counts, `until` does not."""

    audio_hash: bytes | None = None
    to: bytes | None = None
    verdict: Verdict | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def fingerprint(self) -> bytes:
        """8 bytes: a page token is good for the question that it was given for."""
        return hashlib.sha256(repr(self).encode()).digest()[:8]


@dataclass(frozen=True)
class Audit:
    database: Database

    async def write(self, line: Line) -> None:
        """Raises Unavailable: LEDGER_UNAVAILABLE; nobody may be told the verdict then."""
        async with self.database.connection() as connection:
            await connection.execute(_WRITE, *line.values())

    async def page(self, which: Filter, size: int, token: str) -> tuple[Sequence[Written], str]:
        """At most `size` lines, the newest first, and the token of the next page, "" on the last.

        Raises:
            InvalidField: MALFORMED page_token.
            Unavailable: LEDGER_UNAVAILABLE.
        """
        before = _before(token, which) if token else _ID_AFTER_ALL
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                LIST,
                before,
                which.audio_hash,
                which.to,
                which.verdict and which.verdict.value,
                which.since,
                which.until,
                size + 1,
            )
        lines = [_written(row) for row in rows[:size]]
        return lines, _token(lines[-1].id, which) if len(rows) > size else ""


def _token(last_id: int, which: Filter) -> str:
    return base64.urlsafe_b64encode(last_id.to_bytes(8, "big") + which.fingerprint).decode().rstrip("=")


def _before(token: str, which: Filter) -> int:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        last_id = int.from_bytes(raw[:8], "big")
        if last_id > _ID_AFTER_ALL or _token(last_id, which) != token:
            raise ValueError("of another question")
    except (ValueError, OverflowError):
        limit = "the next_page_token of an answer to the same question"
        raise InvalidField("MALFORMED", "page_token", "page_token is none of ours", limit=limit) from None
    return last_id


def _written(row: Any) -> Written:
    asked = Legible(
        audio_hash=row["audio_hash"],
        to=row["recipient"],
        metadata_uri=row["metadata_uri"],
        format=row["format"] and PermitFormat(row["format"]),
        chain_id=row["chain_id"],
        contract=row["contract"],
    )
    line = Line(
        caller=row["caller"],
        verdict=Verdict(row["verdict"]),
        asked=asked,
        song_id=row["song_id"],
        reason=row["reason"],
        rule=row["rule"],
        signer=row["signer"],
        deadline=row["deadline"],
    )
    return Written(row["id"], row["at"], line)
