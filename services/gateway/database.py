"""Connections to PostgreSQL: a pool on the gateway's schema, and one kind of error for a server that is away.

Knows no table. Every statement of the gateway is one round trip and its own transaction.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from services.common.errors import Unavailable

SCHEMA = "gateway"
MIGRATIONS = Path(__file__).with_name("migrations")
# A statement of ours takes milliseconds; one that takes this long is waiting for a server that is gone.
COMMAND_TIMEOUT_S = 15.0

# While the server is away, it is asked again after this long; those who read a stream, for so long.
RETRY_S = 0.2
READER_PATIENCE_S = 10.0

T = TypeVar("T")

_log = logging.getLogger(__name__)

# What asyncpg raises when the server is away, going, coming back or full.
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    # asyncpg's own state, when the server dies between the messages of one statement
    asyncpg.InternalClientError,
    # two statements that change several songs each; the one that was given up may be repeated
    asyncpg.DeadlockDetectedError,
)


class DatabaseUnavailable(Unavailable):
    """Nothing is known of whether the statement took effect."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_UNAVAILABLE", "the database cannot be reached; repeat later", retry_delay_s=1.0
        )


async def patiently(call: Callable[[], Awaitable[T]], patience_s: float = READER_PATIENCE_S) -> T:
    """Repeats `call` while the database is away. Raises DatabaseUnavailable once patience is at its end."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return await call()
        except DatabaseUnavailable:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(RETRY_S)


@contextmanager
def typed_errors() -> Iterator[None]:
    """Turns the errors of a server that is away into `DatabaseUnavailable`."""
    try:
        yield
    except _AWAY as error:
        _log.warning("database unavailable", extra={"error": f"{type(error).__name__}: {error}"})
        raise DatabaseUnavailable from error


class Database:
    """A pool of connections. Raises DatabaseUnavailable from every method."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        with typed_errors():
            return list(await self._pool.fetch(sql, *arguments))

    async def row(self, sql: str, *arguments: object) -> Any | None:
        with typed_errors():
            return await self._pool.fetchrow(sql, *arguments)

    async def value(self, sql: str, *arguments: object) -> Any:
        with typed_errors():
            return await self._pool.fetchval(sql, *arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Database"]:
        """Statements that take effect together or not at all. Keep it short: it holds a connection."""
        with typed_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                yield Database(connection)


@asynccontextmanager
async def open_database(dsn: str, *, connections: int) -> AsyncIterator[Database]:
    """A pool of up to `connections`. Raises DatabaseUnavailable when the server does not answer."""
    with typed_errors():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections,
            command_timeout=COMMAND_TIMEOUT_S,
            timeout=5.0,  # to connect
            server_settings={"search_path": SCHEMA, "application_name": "acesteps-gateway"},
            # No statement leaves anything behind in its session that a round trip would have to clear.
            reset=_nothing_to_reset,
        )
    try:
        yield Database(pool)
    finally:
        pool.terminate()  # every statement is its own transaction: nothing is left to say goodbye to


async def _nothing_to_reset(connection: Any) -> None:
    pass
