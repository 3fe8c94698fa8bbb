"""The signer's connections to its own PostgreSQL schema: opened as the role that may not change history.

Knows how a failure of the database is told, LEDGER_UNAVAILABLE, and that every statement is its own committed
transaction. Knows no table but what it probes.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from services.common.errors import Unavailable
from services.common.migrations import MigrationError, missing

SCHEMA = "signer"
MIGRATIONS = Path(__file__).parent / "migrations"

CONNECTIONS = 8
# The statements take milliseconds; what takes this long waits for a lock, a disk or a server that is gone.
STATEMENT_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 3.0

_log = logging.getLogger(__name__)

_PROBE = "SELECT paused_since IS NOT NULL, current_setting('transaction_read_only') FROM signer.switch"

# Also true of a superuser and of the schema's owner.
_COULD_CHANGE_HISTORY = """
SELECT has_table_privilege('signer.audit', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    OR has_table_privilege('signer.permits', 'DELETE, TRUNCATE, TRIGGER')
"""


class Database:
    """Connections that are all alike; each is used for one statement at a time."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection; closed ones are replaced.

        Raises:
            Unavailable: LEDGER_UNAVAILABLE, whatever keeps a statement from being known to be committed.
        """
        try:
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Not its text, which may quote a row.
            _log.warning("ledger unavailable", extra={"error": type(error).__name__})
            raise ledger_unavailable() from error

    async def check(self) -> bool:
        """Whether signing is paused. Raises Unavailable when the schema cannot be read, or not be written."""
        async with self.connection() as connection:
            paused, read_only = await connection.fetchrow(_PROBE)
            if read_only != "off":
                raise ledger_unavailable()
        return bool(paused)


def ledger_unavailable() -> Unavailable:
    return Unavailable(
        "LEDGER_UNAVAILABLE", "the ledger of permits cannot be used; nothing was signed", retry_delay_s=1.0
    )


@asynccontextmanager
async def open_database(dsn: str) -> AsyncIterator[Database]:
    """Connect to a schema that is up to date.

    Raises:
        MigrationError: it is not, or the role has rights that it must not have.
        OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError.
    """
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
            "search_path": SCHEMA,
            "statement_timeout": statement_ms,
            "lock_timeout": statement_ms,
            "idle_in_transaction_session_timeout": statement_ms,
            # A permit that a crash of the server forgets could be given twice.
            "synchronous_commit": "on",
        },
        # No statement leaves anything behind in its session: spare each the round trip that would clear it.
        reset=_nothing_to_reset,
    )
    try:
        async with pool.acquire() as connection:
            if files := await missing(connection, SCHEMA, MIGRATIONS):
                raise MigrationError(f"{files[0]} is not applied; run python -m services.signer.migrate")
            if await connection.fetchval(_COULD_CHANGE_HISTORY):
                raise MigrationError("the role could change the audit; run the signer as acesteps_signer")
        yield Database(pool)
    finally:
        pool.terminate()  # every statement is its own transaction: nothing is left to say goodbye to


async def _nothing_to_reset(connection: Any) -> None:
    pass
