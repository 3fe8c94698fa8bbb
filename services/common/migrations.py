"""Schema migrations: numbered SQL files, forward only, each once, under a lock that all replicas share.

Knows no table of any service but its own list of what was applied.
"""

import argparse
import asyncio
import hashlib
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from services.common.settings import read_setting

WAIT_S = 1.0
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql", re.ASCII)


class MigrationError(Exception):
    """The folder and the database do not fit together."""


async def migrate(dsn: str, schema: str, folder: Path) -> list[str]:
    """Apply what is missing, in order, each file with its entry in one transaction; returns what it applied.

    The schema must exist and be the role's to write; unqualified names in the files mean it.

    Raises:
        MigrationError: a name out of form, a number used twice, or an applied file that has changed since.
    """
    files = _files(folder)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": schema})
    try:
        # Two replicas that start at once: the second waits here, then finds nothing left to do.
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"acesteps migrations {schema}")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT * FROM migrations")}
        done = []
        for file in files:
            sql = file.read_text()
            digest = hashlib.sha256(sql.encode()).hexdigest()
            if file.name in applied:
                if applied[file.name] != digest:
                    raise MigrationError(
                        f"{file.name} was changed after it had been applied; add a new file instead"
                    )
                continue
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute(
                    "INSERT INTO migrations (name, sha256) VALUES ($1, $2)", file.name, digest
                )
            done.append(file.name)
        return done
    finally:
        await connection.close()  # gives the lock back


def why_not_open(error: Exception) -> str:
    """Why a database cannot be opened, in one line; what cannot be read of its URL may be a password."""
    if isinstance(error, ValueError):
        return "not a PostgreSQL URL (what is special in a password needs percent-encoding)"
    return next(iter(str(error).splitlines()), "no answer")


async def missing(connection: Any, schema: str, folder: Path) -> list[str]:
    """The files that a schema still lacks, for a role that may read its list of migrations only."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.migrations") is None:
        return [file.name for file in _files(folder)]
    rows = await connection.fetch(f"SELECT name FROM {schema}.migrations")
    applied = {row["name"] for row in rows}
    return [file.name for file in _files(folder) if file.name not in applied]


async def missing_at(dsn: str, schema: str, folder: Path) -> list[str]:
    """`missing`, by a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return await missing(connection, schema, folder)
    finally:
        await connection.close()


def run_command(
    about: str | None, setting: str, schema: str, folder: Path, argv: Sequence[str] | None = None
) -> int:
    """`python -m services.<service>.migrate`, by the database URL in `setting`; the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{schema}.migrate", description=about)
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="apply nothing; end once it is done")
    patience_s = parser.parse_args(argv).wait
    try:
        if not (dsn := read_setting(setting)):
            return _stop(f"{setting} is not set", 2)
        if patience_s is not None:
            return asyncio.run(_wait(dsn, schema, folder, patience_s))
        for name in asyncio.run(migrate(dsn, schema, folder)):
            print(name)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError) as error:
        return _stop(why_not_open(error), 1)
    return 0


async def _wait(dsn: str, schema: str, folder: Path, patience_s: float) -> int:
    until, told = time.monotonic() + patience_s, ""
    while True:
        try:
            lacking = await missing_at(dsn, schema, folder)
            why = f"{lacking[0]} is not applied" if lacking else ""
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # it may come up yet
            why = why_not_open(error)
        if not why:
            return 0
        if time.monotonic() >= until:
            return _stop(why, 1)
        if why != told:
            print(f"waiting: {why}", file=sys.stderr, flush=True)
            told = why
        await asyncio.sleep(WAIT_S)


def _stop(line: str, status: int) -> int:
    print(f"migrate: {line}", file=sys.stderr)
    return status


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.sql"))
    numbers = [match.group(1) for f in files if (match := _NAME.fullmatch(f.name))]
    if len(numbers) != len(files) or len(set(numbers)) != len(numbers):
        raise MigrationError(f"{folder} holds a file that is not NNNN_name.sql, or a number twice")
    return files
