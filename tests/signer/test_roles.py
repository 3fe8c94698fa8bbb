"""The ledger's roles: what the page says creates them, what each may do, and what none may."""

import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import Database, Postgres
from services.signer import migrate
from tests.signer.attested import request_for, statement
from tests.signer.process import Client, Served

PAGE = Path(__file__).parents[2] / "docs" / "permits.md"

READ_OR_WRITE = [
    "SELECT count(*) FROM signer.{table}",
    "INSERT INTO signer.{table} DEFAULT VALUES",
    "UPDATE signer.{table} SET {column} = {column}",
    "DELETE FROM signer.{table}",
    "TRUNCATE signer.{table}",
    "BEGIN; LOCK TABLE signer.{table}",
    "DROP TABLE signer.{table}",
    "ALTER TABLE signer.{table} DISABLE TRIGGER ALL",
    "CREATE TRIGGER t BEFORE INSERT ON signer.{table} EXECUTE FUNCTION signer.refuse_change()",
]
COLUMNS = {
    "permits": "song_id",
    "audit": "verdict",
    "switch": "reason",
    "switch_uses": "reason",
    "migrations": "name",
}


async def run_as(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for sql in statements:
            await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize("table", COLUMNS)
async def test_the_gateways_role_can_neither_read_nor_write_the_ledger(served: Served, table: str) -> None:
    for sql in (*READ_OR_WRITE, "SELECT signer.reserve('', '', '', '', '', 1, '', now(), now(), '', 0, 0)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run_as(served.database.gateway_dsn, sql.format(table=table, column=COLUMNS[table]))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE signer.audit SET verdict = 'refused'",
        "DELETE FROM signer.audit",
        "TRUNCATE signer.audit",
        "INSERT INTO signer.audit (at, caller, verdict, reason) VALUES ('2020-01-01', '', 'refused', 'X')",
        "INSERT INTO signer.audit (id, caller, verdict) OVERRIDING SYSTEM VALUE VALUES (1, '', 'refused')",
        "UPDATE signer.switch_uses SET caller = 'nobody'",
        "DELETE FROM signer.switch_uses",
        "DELETE FROM signer.switch",
        "INSERT INTO signer.switch (one_row) VALUES (true)",
        "DELETE FROM signer.permits",
        "TRUNCATE signer.permits",
        "UPDATE signer.permits SET recipient = contract",
        "UPDATE signer.permits SET metadata_uri = 'ipfs://another'",
        "UPDATE signer.permits SET audio_hash = decode(repeat('00', 32), 'hex')",
        "UPDATE signer.permits SET number = number - 1",
        "UPDATE signer.permits SET permitted_at = permitted_at - interval '1 day'",
        "UPDATE signer.migrations SET sha256 = ''",
        "CREATE TABLE signer.mine (i int)",
        "DROP TABLE signer.audit",
        "ALTER TABLE signer.audit DISABLE TRIGGER append_only",
        "DROP FUNCTION signer.reserve",
        "SET ROLE acesteps_signer_owner",
        "SET session_replication_role = replica",
    ],
)
async def test_the_role_that_runs_the_signer_cannot_change_what_happened(served: Served, sql: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(served.database.signer_dsn, sql)


@pytest.mark.parametrize("table", ["audit", "switch_uses"])
@pytest.mark.parametrize(
    "verb", ["UPDATE signer.{} SET caller = ''", "DELETE FROM signer.{}", "TRUNCATE signer.{}"]
)
async def test_not_even_the_owner_changes_the_audit_by_mistake(served: Served, table: str, verb: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await run_as(served.database.signer_owner_dsn, verb.format(table))


async def test_a_permit_needs_no_more_than_these_rights(served: Served, signer: Client) -> None:
    permit = await signer.permit(request_for(statement()))
    assert len(permit.signature) == 65
    rights = await served.fetch(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls"
        "  FROM pg_roles WHERE rolname = 'acesteps_signer'"
    )
    assert not any(rights[0])


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """The name of a database in which nothing was prepared."""
    postgres.execute("CREATE DATABASE by_the_page")
    yield "by_the_page"
    postgres.drop_database("by_the_page")


def test_the_sql_on_the_page_is_all_that_the_migrations_need(
    postgres: Postgres, empty: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    # The server of all tests has the roles already.
    postgres.execute("".join(line for line in sql.splitlines(True) if "CREATE ROLE" not in line), empty)
    owner = postgres.dsn("acesteps_signer_owner", empty)
    monkeypatch.setenv("SIGNER_OWNER_DATABASE_URL", owner)
    assert migrate.main([]) == 0
    assert capsys.readouterr().out == "0001_permits.sql\n0002_policy.sql\n0003_permits_in_audit.sql\n"
    assert migrate.main([]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("SIGNER_OWNER_DATABASE_URL", postgres.dsn("acesteps_signer", empty))
    assert migrate.main([]) == 1
    assert "permission denied" in capsys.readouterr().err
    assert postgres.execute("SELECT count(*) FROM signer.permits", empty) == "0\n"


async def test_permits_from_before_quotas_are_numbered_in_their_order(database: Database) -> None:
    """The second migration over rows of the first."""
    folder = migrate.MIGRATIONS
    rebuild = (
        "DROP SCHEMA signer CASCADE",
        "CREATE SCHEMA signer AUTHORIZATION acesteps_signer_owner",
        "SET search_path = signer",
        "SET ROLE acesteps_signer_owner",
        (folder / "0001_permits.sql").read_text(),
    )
    old = """
    INSERT INTO signer.permits
           (audio_hash, song_id, recipient, metadata_uri, format, chain_id, contract, permitted_at)
    SELECT sha256(i::text::bytea), 's' || i, substring(sha256((i % 2)::text::bytea), 1, 20), 'ipfs://x',
           'packed', 1, substring(sha256('c'), 1, 20), now() - make_interval(hours => i)
      FROM generate_series(1, 5) AS i
    """
    await run_as(database.superuser_dsn, *rebuild, old, (folder / "0002_policy.sql").read_text())
    connection = await asyncpg.connect(database.superuser_dsn)
    rows = await connection.fetch(
        "SELECT song_id, number, creator_number FROM signer.permits ORDER BY number"
    )
    await connection.close()
    assert [tuple(row) for row in rows] == [
        ("s5", 1, 1), ("s4", 2, 1), ("s3", 3, 2), ("s2", 4, 2), ("s1", 5, 3),
    ]  # fmt: skip
