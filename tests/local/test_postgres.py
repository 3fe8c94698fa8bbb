"""The embedded server: roles of two services that share nothing, and a server that is hard to lose."""

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import asyncpg
import pytest

from deploy.local import postgres as local_postgres
from deploy.local.postgres import Database, Postgres


async def run_as(dsn: str, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        rows: list[asyncpg.Record] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


async def test_each_role_owns_a_schema_and_finds_its_tables_there(database: Database) -> None:
    for dsn, schema in ((database.gateway_dsn, "gateway"), (database.signer_owner_dsn, "signer")):
        rows = await run_as(
            dsn, "CREATE TABLE t (i int)", "SELECT schemaname FROM pg_tables WHERE tablename = 't'"
        )
        assert schema in [row["schemaname"] for row in rows]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM signer.permits",
        "INSERT INTO signer.permits VALUES (1)",
        "DROP TABLE signer.permits",
        "UPDATE signer.audit SET caller = ''",
        "CREATE TABLE signer.mine (i int)",
        "DROP SCHEMA signer CASCADE",
        "SET ROLE acesteps_signer",
        "ALTER ROLE acesteps_gateway SUPERUSER",
        "CREATE TABLE public.mine (i int)",
        "CREATE SCHEMA mine",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_the_gateway_has_no_right_on_what_is_the_signers(database: Database, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(database.gateway_dsn, statement)


async def test_the_signer_has_no_right_on_what_is_the_gateways(database: Database) -> None:
    await run_as(database.gateway_dsn, "CREATE TABLE songs (i int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(database.signer_dsn, "SELECT * FROM gateway.songs")


async def test_a_role_has_no_way_into_another_database(postgres: Postgres, database: Database) -> None:
    postgres.execute("CREATE DATABASE others; REVOKE ALL ON DATABASE others FROM PUBLIC")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(database.gateway_dsn.replace(database.name, "others"), "SELECT 1")


async def test_creating_a_database_again_keeps_what_is_in_it(postgres: Postgres, database: Database) -> None:
    await run_as(database.gateway_dsn, "CREATE TABLE songs (i int)", "INSERT INTO songs VALUES (7)")
    again = postgres.create_database(database.name)
    assert (await run_as(again.gateway_dsn, "SELECT i FROM songs"))[0]["i"] == 7


def test_a_database_name_that_is_no_identifier_is_refused(postgres: Postgres) -> None:
    with pytest.raises(ValueError, match="must match"):
        postgres.create_database('songs"; DROP DATABASE postgres; --')


async def test_a_killed_server_comes_back_with_what_was_committed(
    postgres: Postgres, database: Database
) -> None:
    await run_as(database.gateway_dsn, "CREATE TABLE songs (i int)", "INSERT INTO songs VALUES (7)")
    pid = postgres.kill(signal.SIGKILL)
    postgres.wait_ready(after=pid)
    assert (await run_as(database.gateway_dsn, "SELECT i FROM songs"))[0]["i"] == 7


async def test_the_next_start_takes_over_from_a_server_whose_parent_was_killed(tmp_path: Path) -> None:
    program = f"""
    import os, signal
    from pathlib import Path
    from deploy.local import postgres
    server = postgres.start(Path({str(tmp_path)!r}) / "data")
    server.create_database("acesteps")
    server.execute("CREATE TABLE gateway.songs AS SELECT 7 AS i", "acesteps")
    server.execute("GRANT SELECT ON gateway.songs TO acesteps_gateway", "acesteps")
    os.kill(os.getpid(), signal.SIGKILL)
    """
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(program))
    assert await parent.wait() == -signal.SIGKILL
    with local_postgres.start(tmp_path / "data") as server:
        database = server.create_database("acesteps")
        assert (await run_as(database.gateway_dsn, "SELECT i FROM songs"))[0]["i"] == 7


def test_a_pid_file_that_names_a_stranger_does_not_stop_the_start(tmp_path: Path) -> None:
    with local_postgres.start(tmp_path / "data"):
        pid_file = (tmp_path / "data" / "postmaster.pid").read_text().splitlines()
    # As after a power cut, once the number has gone to somebody else: this very process.
    stale = "\n".join([str(os.getpid()), *pid_file[1:]]) + "\n"
    (tmp_path / "data" / "postmaster.pid").write_text(stale)
    with local_postgres.start(tmp_path / "data") as server:
        assert server.execute("SELECT 1") == "1\n"


def test_a_data_folder_too_deep_for_a_socket_works(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20) / ("er, " * 20)
    with local_postgres.start(deep) as server:
        assert server.create_database("acesteps").name == "acesteps"


def test_an_initialisation_that_was_cut_off_is_started_over(tmp_path: Path) -> None:
    unfinished = tmp_path / "data.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with local_postgres.start(tmp_path / "data") as server:
        assert server.execute("SELECT 1") == "1\n"
    assert not unfinished.exists()
