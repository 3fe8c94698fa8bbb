"""What the ledger promises when processes die: committed before signed, and nothing signed without it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
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


@contextlib.asynccontextmanager
async def signatures_held_back(database: Database) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """No signature reaches the ledger within; what it yields waits until one has tried to."""
    connection = await asyncpg.connect(database.superuser_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", GATE)
        await connection.execute(
            f"""
            CREATE FUNCTION signer.wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$;
            CREATE TRIGGER gate BEFORE UPDATE ON signer.permits
            FOR EACH ROW EXECUTE FUNCTION signer.wait_at_the_gate();
            """
        )

        async def reached() -> None:
            sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
            while not await connection.fetchval(sql, GATE):  # noqa: ASYNC110  # no event tells of it
                await asyncio.sleep(0.01)

        yield lambda: asyncio.wait_for(reached(), 10)
        # Whoever waits belongs to a process that is gone.
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
        await connection.execute("DROP FUNCTION signer.wait_at_the_gate CASCADE")
    finally:
        await connection.close()


async def test_killed_between_commit_and_signature_asking_again_signs_the_same_permit(
    restartable: SignerProcess, database: Database
) -> None:
    request = request_for(statement())
    served = Served(restartable, database)
    with restartable.running():
        async with signatures_held_back(database) as reached, restartable.client() as signer:
            lost = asyncio.create_task(signer.permit(request))
            await reached()
            restartable.kill()
            with pytest.raises(Unavailable):
                await lost
        (committed,) = await served.rows(request.audio_hash)
        assert committed["signature"] is None

        await asyncio.sleep(1.1)  # a new deadline would be another second's
        restartable.start()
        async with restartable.client() as signer:
            permit = await signer.permit(request)
            again = await signer.permit(request)
    assert permit.deadline.seconds == committed["deadline"].timestamp()
    assert (permit.repeated_permit, again.repeated_permit) == (False, True)
    assert again.signature == permit.signature
    (row,) = await served.rows(request.audio_hash)
    assert row["signature"] == permit.signature


async def test_a_signature_that_the_ledger_does_not_take_is_not_given_out(
    restartable: SignerProcess, database: Database
) -> None:
    request = request_for(statement())
    with restartable.running():
        async with restartable.client() as signer:
            async with signatures_held_back(database):
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
        dsn = server.create_database("ledger").signer_dsn
        settings = write_files(tmp_path / "signer") | {"SIGNER_DATABASE_URL": dsn}
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
