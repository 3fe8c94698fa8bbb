"""The ledger of permits in PostgreSQL: which recording was permitted as what, and the signature given for it.

Knows identities, deadlines and signatures; knows no rule and no key. One statement commits a permit before it
is signed, one stores the signature together with its line in the audit.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.common.errors import AlreadyExists
from services.signer import audit, switch
from services.signer.database import Database, ledger_unavailable
from services.signer.quota import Quotas, quota_exceeded
from services.signer.request import PermitFormat, PermitRequest

_RESERVE = "SELECT * FROM signer.reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"

_READ = """
SELECT recipient, metadata_uri, format, chain_id, contract, deadline, signature, signer
  FROM signer.permits WHERE audio_hash = $1
"""

# The first signature stays: a key whose signatures differ each time still gives one permit. No signature
# without its line in the audit, none in a pause.
_RECORD = f"""
WITH recorded AS (
    UPDATE signer.permits
       SET signature = ${audit.COLUMN_COUNT + 1}, signer = ${audit.PLACE["signer"]}, signed_at = now()
     WHERE audio_hash = ${audit.PLACE["audio_hash"]}
       AND deadline IS NOT DISTINCT FROM ${audit.PLACE["deadline"]}
       AND signature IS NULL AND NOT EXISTS (SELECT FROM signer.switch WHERE paused_since IS NOT NULL)
    RETURNING true
)
INSERT INTO signer.audit ({audit.COLUMNS}) SELECT {audit.PLACEHOLDERS} FROM recorded
"""
_PAUSE_REASON = "SELECT reason FROM signer.switch WHERE paused_since IS NOT NULL"


@dataclass(frozen=True)
class Identity:
    """What a permit is for. `recipient` and `contract` are 20 bytes, `audio_hash` 32."""

    audio_hash: bytes
    recipient: bytes
    metadata_uri: str
    format: PermitFormat
    chain_id: int
    contract: bytes

    @classmethod
    def of(cls, request: PermitRequest) -> "Identity":
        return cls(
            audio_hash=request.audio_hash,
            recipient=request.to,
            metadata_uri=request.metadata_uri,
            format=request.format,
            chain_id=request.chain_id,
            contract=request.contract,
        )


@dataclass(frozen=True)
class Entry:
    """One permit in the ledger. `deadline` is None for the packed format; signature and signer come later."""

    identity: Identity
    deadline: datetime | None
    signature: bytes | None = None
    signer: bytes | None = None


@dataclass(frozen=True)
class Ledger:
    database: Database
    quotas: Quotas

    async def reserve(
        self, identity: Identity, song_id: str, deadline: datetime | None, now: datetime, signer: bytes
    ) -> Entry:
        """Commit a permit, or find the one that stands; an entry without a signature is to be signed.

        `deadline` counts for a new or renewed permit only. `signer` is the address of the key in use.

        Raises:
            FailedPrecondition: PAUSED.
            AlreadyExists: ALREADY_PERMITTED, as something else.
            ResourceExhausted: QUOTA_EXCEEDED.
            Unavailable: LEDGER_UNAVAILABLE.
        """
        async with self.database.connection() as connection:
            found = await connection.fetchrow(
                _RESERVE,
                identity.audio_hash,
                song_id,
                identity.recipient,
                identity.metadata_uri,
                identity.format.value,
                identity.chain_id,
                identity.contract,
                deadline,
                now,
                signer,
                self.quotas.creator,
                self.quotas.overall,
            )
        match found["outcome"]:
            case "reserved" | "stands":
                return Entry(identity, found["deadline"], found["signature"], found["signer"])
            case "another":
                message = "this recording has a permit of another identity"
                raise AlreadyExists("ALREADY_PERMITTED", message, metadata={"rule": "single_use"})
            case "paused":
                raise switch.paused(found["detail"])
            case quota:
                raise quota_exceeded(quota, found["free_at"], datetime.now(UTC))

    async def record(self, entry: Entry, signature: bytes, line: audit.Line) -> tuple[Entry, bool]:
        """Store the signature of a reserved entry with its audit, unless it has one.

        Gives what stands, and whether it is ours; if not, it is not audited yet.

        Raises:
            FailedPrecondition: PAUSED meanwhile; the signature must not be given out.
            Unavailable: LEDGER_UNAVAILABLE; the signature must not be given out.
        """
        audio_hash = entry.identity.audio_hash
        async with self.database.connection() as connection:
            done = await connection.execute(_RECORD, *line.values(), signature)
            if done == "INSERT 0 1":
                return replace(entry, signature=signature, signer=line.signer), True
            if (reason := await connection.fetchval(_PAUSE_REASON)) is not None:
                raise switch.paused(reason)
            stands = _entry(audio_hash, await connection.fetchrow(_READ, audio_hash))
        if stands.signature is None:  # renewed between our commit and now
            raise ledger_unavailable()
        return stands, False

    async def check_open(self) -> None:
        """What was stored while a pause was being answered is kept for after it, and not given out now.

        Raises:
            FailedPrecondition: PAUSED.
            Unavailable: LEDGER_UNAVAILABLE.
        """
        async with self.database.connection() as connection:
            if (reason := await connection.fetchval(_PAUSE_REASON)) is not None:
                raise switch.paused(reason)


def _entry(audio_hash: bytes, row: Any) -> Entry:
    if row is None:  # deleted by hand a moment ago
        raise ledger_unavailable()
    identity = Identity(
        audio_hash=audio_hash,
        recipient=row["recipient"],
        metadata_uri=row["metadata_uri"],
        format=PermitFormat(row["format"]),
        chain_id=row["chain_id"],
        contract=row["contract"],
    )
    return Entry(identity, row["deadline"], row["signature"], row["signer"])
