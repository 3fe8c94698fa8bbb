"""What the ledger promises when processes die: committed before signed, and nothing signed without it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from acesteps.signer.v1 import signer_service_pb2 as pb
from deploy.local import postgres as local_postgres
from deploy.local.postgres import Database
from services.common.errors import Unavailable
from tests.signer.attested import request_for, statement
from tests.signer.process import Served, SignerProcess, write_files

# Any number: the signer's own statements know nothing of it.
GATE = 42


@pytest.fixture
def restartable(database: Database, tmp_path: Path) -> SignerProcess:
    """A signer of one test's own, not yet started."""
    settings = write_files(tmp_path / "signer") | {"SIGNER_DATABASE_URL": database.signer_dsn}
    return SignerProcess(settings, tmp_path / "log")


@dataclass
class Gate:
    """Where a statement on `signer.permits` waits. When it opens, whoever waited goes on, or fails."""

    connection: asyncpg.Connection

    async def reached(self) -> None:
        """Returns once somebody waits."""
        sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
        async with asyncio.timeout(10):
            while not await self.connection.fetchval(sql, GATE):  # noqa: ASYNC110  # no event tells of it
                await asyncio.sleep(0.01)

    async def let_through(self) -> None:
        """The statement ends, and is committed, whoever asked for it. Returns once it has."""
        await self.connection.execute("SELECT pg_advisory_unlock_all()")
        await self._nobody_is_there()

    async def turn_back(self) -> None:
        """The statement is rolled back."""
        waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await self.connection.execute(waiting)
        await self._nobody_is_there()

    async def _nobody_is_there(self) -> None:
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle'"
            " AND datname = current_database() AND application_name = 'acesteps-signer'"
        )
        async with asyncio.timeout(10):
            while await self.connection.fetchval(sql):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def held_back(database: Database, verb: str) -> AsyncIterator[Gate]:
    """No `verb` (INSERT: reservation, UPDATE: signature) of a permit is done within, unless let through."""
    connection = await asyncpg.connect(database.superuser_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", GATE)
        await connection.execute(
            f"""
            CREATE FUNCTION signer.wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$;
            CREATE TRIGGER gate BEFORE {verb} ON signer.permits
            FOR EACH ROW EXECUTE FUNCTION signer.wait_at_the_gate();
            """
        )
        gate = Gate(connection)
        yield gate
        await gate.turn_back()
        await connection.execute("DROP FUNCTION signer.wait_at_the_gate CASCADE")
    finally:
        await connection.close()


@dataclass(frozen=True)
class Point:
    """A moment at which the process is killed, and what must be in the ledger then."""

    verb: str
    committed: bool
    rows: int
    signed: bool
    audited: int


POINTS = {
    "before_the_reservation_is_committed": Point("INSERT", False, rows=0, signed=False, audited=0),
    "after_it_before_the_signature": Point("INSERT", True, rows=1, signed=False, audited=0),
    "before_the_signature_is_committed": Point("UPDATE", False, rows=1, signed=False, audited=0),
    "after_it_before_the_answer": Point("UPDATE", True, rows=1, signed=True, audited=1),
}


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS.keys())
async def test_killed_at_any_point_asking_again_gives_the_one_permit(
    restartable: SignerProcess, database: Database, point: Point
) -> None:
    request = request_for(statement())
    served = Served(restartable, database)
    audited = "SELECT verdict FROM signer.audit WHERE audio_hash = $1 ORDER BY id"
    with restartable.running():
        async with held_back(database, point.verb) as gate, restartable.client() as signer:
            lost = asyncio.create_task(signer.permit(request))
            await gate.reached()
            restartable.kill()
            with pytest.raises(Unavailable):
                await lost
            await (gate.let_through() if point.committed else gate.turn_back())
        before = await served.rows(request.audio_hash)
        assert len(before) == point.rows
        assert [row["signature"] is not None for row in before] == [point.signed] * point.rows
        assert len(await served.fetch(audited, request.audio_hash)) == point.audited

        if point.rows:
            await asyncio.sleep(1.1)  # a new deadline would be another second's
        restartable.start()
        async with restartable.client() as signer:
            permit = await signer.permit(request)
            again = await signer.permit(request)
    if before:
        assert permit.deadline.seconds == before[0]["deadline"].timestamp()
    if point.signed:
        assert permit.signature == before[0]["signature"]
    assert (permit.repeated_permit, again.repeated_permit) == (point.signed, True)
    assert again.signature == permit.signature
    (row,) = await served.rows(request.audio_hash)
    assert row["signature"] == permit.signature
    verdicts = [line["verdict"] for line in await served.fetch(audited, request.audio_hash)]
    assert verdicts == ["permitted"] + ["repeated"] * (2 if point.signed else 1)


async def test_a_signature_that_the_ledger_does_not_take_is_not_given_out(
    restartable: SignerProcess, database: Database
) -> None:
    request = request_for(statement())
    with restartable.running():
        async with restartable.client() as signer:
            async with held_back(database, "UPDATE"):
                with pytest.raises(Unavailable) as refused:  # the statement timeout ends the wait
                    await signer.permit(request)
            assert refused.value.reason == "LEDGER_UNAVAILABLE"
            assert (await Served(restartable, database).rows(request.audio_hash))[0]["signature"] is None
            assert not (await signer.permit(request)).repeated_permit


async def test_after_its_deadline_the_same_permit_is_given_afresh(
    restartable: SignerProcess, database: Database
) -> None:
    restartable.settings = {**restartable.settings, "SIGNER_PERMIT_LIFETIME_S": "1"}
    request = request_for(statement())
    packed = request_for(statement(), format=pb.PERMIT_FORMAT_PACKED)
    with restartable.running():
        async with restartable.client() as signer:
            first, first_packed = await signer.permit(request), await signer.permit(packed)
            await asyncio.sleep(first.deadline.seconds + 0.1 - time.time())
            second, second_packed = await signer.permit(request), await signer.permit(packed)
    assert second.deadline.seconds > first.deadline.seconds
    assert second.signature != first.signature
    assert not second.repeated_permit
    assert second_packed.signature == first_packed.signature
    assert second_packed.repeated_permit
    assert len(await Served(restartable, database).rows(request.audio_hash)) == 1


async def test_after_a_change_of_key_the_same_permit_is_signed_by_the_new_one(
    restartable: SignerProcess, tmp_path: Path
) -> None:
    requests = [
        request_for(statement(), format=f) for f in (pb.PERMIT_FORMAT_EIP712, pb.PERMIT_FORMAT_PACKED)
    ]
    with restartable.running():
        async with restartable.client() as signer:
            old = [await signer.permit(request) for request in requests]
        assert restartable.stop() == 0
        files = write_files(tmp_path / "new keys")
        keys = {name: value for name, value in files.items() if "KEYSTORE" in name}
        restartable.settings = {**restartable.settings, **keys}
        restartable.start()
        async with restartable.client() as signer:
            described = await signer.describe()
            new = [await signer.permit(request) for request in requests]
            again = [await signer.permit(request) for request in requests]
    assert [p.signer for p in new] == [described.eip712_signer, described.packed_signer]
    assert not {p.signer for p in new} & {p.signer for p in old}
    assert [p.repeated_permit for p in (*new, *again)] == [False, False, True, True]


async def test_without_postgresql_nothing_is_signed_and_with_it_all_goes_on(tmp_path: Path) -> None:
    request = request_for(statement())
    data = tmp_path / "data"
    with local_postgres.start(data) as server:
        fresh = server.create_database("ledger")
        # Nobody migrated it: the signer does, as the owner.
        settings = write_files(tmp_path / "signer") | {
            "SIGNER_DATABASE_URL": fresh.signer_dsn,
            "SIGNER_OWNER_DATABASE_URL": fresh.signer_owner_dsn,
        }
        signer = SignerProcess(settings, tmp_path / "log")
        with signer.running():
            async with signer.client() as client:
                given = await client.permit(request_for(statement()))
                server.stop()
                for _ in range(3):
                    with pytest.raises(Unavailable) as refused:
                        await client.permit(request)
                    assert refused.value.reason == "LEDGER_UNAVAILABLE"
                    assert refused.value.retry_delay_s
                await asyncio.to_thread(signer.wait_ready, False)
                assert (await client.describe()).eip712_signer == given.signer
                with local_postgres.start(data):
                    await asyncio.to_thread(signer.wait_ready)
                    permit = await client.permit(request)
                    assert not permit.repeated_permit
                    assert permit.deadline.ToDatetime(UTC) > datetime.now(UTC) + timedelta(minutes=59)
