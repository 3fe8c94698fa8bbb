"""The ledger of permits in PostgreSQL: which recording was permitted as what, and the signature given for it.

Knows identities, deadlines and signatures; knows no rule and no key. Every statement is one committed
transaction, and whatever keeps one from being known to be committed is LEDGER_UNAVAILABLE.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from services.common.errors import AlreadyExists, Unavailable
from services.common.migrations import migrate
from services.signer.request import PermitFormat

SCHEMA = "signer"
MIGRATIONS = Path(__file__).parent / "migrations"

CONNECTIONS = 8
# The statements take milliseconds; what takes this long waits for a lock, a disk or a server that is gone.
STATEMENT_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 3.0

_log = logging.getLogger(__name__)

_IDENTITY = "recipient, metadata_uri, format, chain_id, contract"

# One statement, so that of many replicas exactly one inserts. Renews a permit of the same identity that is
# past its deadline or was signed by a key that is not in use any more; leaves every other row alone.
_RESERVE = f"""
INSERT INTO signer.permits AS permit (audio_hash, song_id, {_IDENTITY}, deadline)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (audio_hash) DO UPDATE
   SET deadline = excluded.deadline, signature = NULL, signer = NULL, signed_at = NULL
 WHERE (permit.recipient, permit.metadata_uri, permit.format, permit.chain_id, permit.contract)
     = (excluded.recipient, excluded.metadata_uri, excluded.format, excluded.chain_id, excluded.contract)
   AND (permit.deadline < $9 OR permit.signer <> $10)
RETURNING deadline
"""

_READ = f"SELECT {_IDENTITY}, deadline, signature, signer FROM signer.permits WHERE audio_hash = $1"

# The first signature stays: a key whose signatures differ each time still gives one permit.
_RECORD = """
UPDATE signer.permits SET signature = $3, signer = $4, signed_at = now()
 WHERE audio_hash = $1 AND deadline IS NOT DISTINCT FROM $2 AND signature IS NULL
"""

_PROBE = "SELECT FROM signer.permits LIMIT 0"


@dataclass(frozen=True)
class Identity:
    """What a permit is for. `recipient` and `contract` are 20 bytes, `audio_hash` 32."""

    audio_hash: bytes
    recipient: bytes
    metadata_uri: str
    format: PermitFormat
    chain_id: int
    contract: bytes


@dataclass(frozen=True)
class Entry:
    """One permit in the ledger. `deadline` is None for the packed format; signature and signer come later."""

    identity: Identity
    deadline: datetime | None
    signature: bytes | None = None
    signer: bytes | None = None


class Ledger:
    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def reserve(
        self, identity: Identity, song_id: str, deadline: datetime | None, now: datetime, signer: bytes
    ) -> Entry:
        """Commit a permit, or find the one that stands; an entry without a signature is to be signed.

        `deadline` counts for a new or renewed permit only. `signer` is the address of the key in use.

        Raises:
            AlreadyExists: ALREADY_PERMITTED, as something else.
            Unavailable: LEDGER_UNAVAILABLE.
        """
        values = identity.recipient, identity.metadata_uri, identity.format.value, identity.chain_id
        async with self._connection() as connection:
            reserved = await connection.fetchrow(
                _RESERVE, identity.audio_hash, song_id, *values, identity.contract, deadline, now, signer
            )
            if reserved is not None:
                return Entry(identity, reserved["deadline"])
            entry = _entry(identity.audio_hash, await connection.fetchrow(_READ, identity.audio_hash))
        if entry.identity != identity:
            raise AlreadyExists("ALREADY_PERMITTED", "this recording has a permit of another identity")
        return entry

    async def record(self, entry: Entry, signature: bytes, signer: bytes) -> tuple[Entry, bool]:
        """Store the signature of a reserved entry, unless it has one. Gives what stands, and if it is ours.

        Raises:
            Unavailable: LEDGER_UNAVAILABLE; the signature must not be given out.
        """
        audio_hash = entry.identity.audio_hash
        async with self._connection() as connection:
            done = await connection.execute(_RECORD, audio_hash, entry.deadline, signature, signer)
            if done == "UPDATE 1":
                return replace(entry, signature=signature, signer=signer), True
            stands = _entry(audio_hash, await connection.fetchrow(_READ, audio_hash))
        if stands.signature is None:  # renewed between our commit and now
            raise _unavailable()
        return stands, False

    async def check(self) -> None:
        """Raises Unavailable when the ledger cannot be read, or not be written."""
        async with self._connection() as connection:
            await connection.execute(_PROBE)
            if await connection.fetchval("SHOW transaction_read_only") != "off":
                raise _unavailable()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A connection; closed ones are replaced. Any failure of the database is LEDGER_UNAVAILABLE."""
        try:
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Not its text, which may quote a row.
            _log.warning("ledger unavailable", extra={"error": type(error).__name__})
            raise _unavailable() from error


@asynccontextmanager
async def open_ledger(dsn: str) -> AsyncIterator[Ledger]:
    """Migrate the schema and connect.

    Raises:
        OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError.
    """
    await migrate(dsn, SCHEMA, MIGRATIONS)
    statement_ms = str(int(STATEMENT_TIMEOUT_S * 1000))
    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=CONNECT_TIMEOUT_S,
        # Longer than the server's own: only a server that does not answer at all meets it.
        command_timeout=STATEMENT_TIMEOUT_S + 1.0,
        server_settings={
            "application_name": "acesteps-signer",
            "statement_timeout": statement_ms,
            "lock_timeout": statement_ms,
            "idle_in_transaction_session_timeout": statement_ms,
            # A permit that a crash of the server forgets could be given twice.
            "synchronous_commit": "on",
        },
    )
    try:
        yield Ledger(pool)
    finally:
        pool.terminate()  # every statement is its own transaction: nothing is left to say goodbye to


def _entry(audio_hash: bytes, row: Any) -> Entry:
    if row is None:  # deleted by hand a moment ago
        raise _unavailable()
    identity = Identity(
        audio_hash=audio_hash,
        recipient=row["recipient"],
        metadata_uri=row["metadata_uri"],
        format=PermitFormat(row["format"]),
        chain_id=row["chain_id"],
        contract=row["contract"],
    )
    return Entry(identity, row["deadline"], row["signature"], row["signer"])


def _unavailable() -> Unavailable:
    return Unavailable(
        "LEDGER_UNAVAILABLE", "the ledger of permits cannot be used; nothing was signed", retry_delay_s=1.0
    )
