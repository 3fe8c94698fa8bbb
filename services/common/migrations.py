"""Schema migrations: numbered SQL files, forward only, each once, under a lock that all replicas share.

Knows no table of any service but its own list of what was applied.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import asyncpg

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


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.sql"))
    numbers = [match.group(1) for f in files if (match := _NAME.fullmatch(f.name))]
    if len(numbers) != len(files) or len(set(numbers)) != len(numbers):
        raise MigrationError(f"{folder} holds a file that is not NNNN_name.sql, or a number twice")
    return files
