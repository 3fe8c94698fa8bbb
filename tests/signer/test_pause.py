"""The operator's switch: obeyed by every replica at once, kept through restarts, and everything audited."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import pytest

from acesteps.signer.v1 import signer_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.errors import FailedPrecondition, InvalidField
from services.signer.audit import Line, Verdict
from services.signer.database import open_database
from services.signer.ledger import Identity, Ledger
from services.signer.quota import Quotas
from services.signer.request import PermitFormat, legible
from tests.signer.attested import STRANGER, request_for, statement
from tests.signer.process import Client, Served, SignerProcess, write_files


@pytest.fixture(scope="module")
def pausable(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database]
) -> Iterator[Served]:
    """A signer that no other test needs."""
    folder, database = tmp_path_factory.mktemp("pausable"), new_database()
    settings = write_files(folder) | {"SIGNER_DATABASE_URL": database.signer_dsn}
    with SignerProcess(settings, folder / "log").running() as process:
        yield Served(process, database)


async def refusal(signer: Client, request: pb.SignMintPermitRequest) -> FailedPrecondition:
    with pytest.raises(FailedPrecondition) as refused:
        await signer.permit(request)
    return refused.value


async def test_paused_nothing_is_signed_or_given_out_until_resume(
    pausable: Served,
) -> None:
    known, new, bad = (request_for(statement()) for _ in range(3))
    bad.to = STRANGER
    async with pausable.process.client() as signer:
        given = await signer.permit(known)
        since = (await signer.pause("a pod's key was stolen")).paused_since.ToDatetime(UTC)
        assert abs(since - datetime.now(UTC)) < timedelta(seconds=10)
        assert (await signer.describe()).paused
        for request in (known, new):
            refused = await refusal(signer, request)
            assert (refused.reason, refused.metadata["rule"]) == ("PAUSED", "pause")
            assert "a pod's key was stolen" in refused.message
            entry = (await signer.list(audio_hash=request.audio_hash)).entries[0]
            assert (entry.verdict, entry.reason, entry.rule) == (pb.VERDICT_REFUSED, "PAUSED", "pause")
        assert (await refusal(signer, bad)).reason == "NOT_THE_CREATOR"
        assert await pausable.rows(new.audio_hash) == []

        assert (await signer.resume()).was_paused
        assert not (await signer.describe()).paused
        assert (await signer.permit(known)).signature == given.signature
        assert not (await signer.permit(new)).repeated_permit


async def test_another_replica_obeys_at_once_and_so_does_one_that_starts_later(
    pausable: Served, tmp_path: Path
) -> None:
    with SignerProcess(pausable.process.settings, tmp_path / "log").running() as second:
        async with pausable.process.client() as one, second.client() as other:
            await other.permit(request_for(statement()))
            await one.pause("maintenance")
            assert (await refusal(other, request_for(statement()))).reason == "PAUSED"
        second.kill()
        second.start()
        async with second.client() as other:
            assert (await other.describe()).paused
            assert (await refusal(other, request_for(statement()))).reason == "PAUSED"
            assert (await other.resume()).was_paused
    async with pausable.process.client() as one:
        await one.permit(request_for(statement()))


async def test_pausing_again_keeps_the_time_and_takes_the_new_reason(pausable: Served) -> None:
    async with pausable.process.client() as signer:
        first = await signer.pause("why")
        assert await signer.pause("why, precisely") == first
        assert "why, precisely" in (await refusal(signer, request_for(statement()))).message
        assert (await signer.resume()).was_paused
        assert not (await signer.resume()).was_paused
    uses = await pausable.fetch("SELECT use, reason FROM signer.switch_uses ORDER BY id DESC LIMIT 4")
    assert [tuple(row) for row in reversed(uses)] == [
        ("pause", "why"), ("pause", "why, precisely"), ("resume", None), ("resume", None),
    ]  # fmt: skip


async def test_a_permit_that_was_reserved_before_a_pause_is_not_signed_after_it(pausable: Served) -> None:
    now, key = datetime.now(UTC), b"\7" * 20
    asked = legible(request_for(statement()))
    assert asked.audio_hash is not None
    identity = Identity(asked.audio_hash, b"\1" * 20, "ipfs://x", PermitFormat.EIP712, 31337, b"\2" * 20)
    line = Line(caller="", verdict=Verdict.PERMITTED, asked=asked, song_id="s", signer=key, deadline=now)
    async with open_database(pausable.database.signer_dsn) as database, pausable.process.client() as signer:
        ledger = Ledger(database, Quotas(0, 0))
        entry = await ledger.reserve(identity, "s", now, now, key)
        await signer.pause("in between")
        with pytest.raises(FailedPrecondition, match="in between"):
            await ledger.record(entry, bytes(65), line)
        (row,) = await pausable.rows(asked.audio_hash)
        assert row["signature"] is None
        await signer.resume()
        stands = replace(entry, signature=bytes(65), signer=key)
        assert await ledger.record(entry, bytes(65), line) == (stands, True)


async def test_a_permit_stored_while_pause_is_answered_is_not_given_out(
    pausable: Served,
) -> None:
    request = request_for(statement())
    connection = await asyncpg.connect(pausable.database.superuser_dsn)
    try:
        async with pausable.process.client() as signer:
            await signer.permit(request)
            # as after a crash between commit and signature
            unsigned = "UPDATE signer.permits SET signature = NULL, signer = NULL, signed_at = NULL"
            await connection.execute(f"{unsigned} WHERE audio_hash = $1", request.audio_hash)
            async with connection.transaction():  # storing waits for this
                held = "SELECT FROM signer.permits WHERE audio_hash = $1 FOR UPDATE"
                await connection.execute(held, request.audio_hash)
                asked = asyncio.create_task(refusal(signer, request))
                await asyncio.sleep(0.3)
                await signer.pause("while it is stored")
            assert (await asked).reason == "PAUSED"
            verdicts = [e.verdict for e in (await signer.list(audio_hash=request.audio_hash)).entries]
            assert verdicts == [pb.VERDICT_REFUSED, pb.VERDICT_PERMITTED, pb.VERDICT_PERMITTED]
            await signer.resume()
            assert (await signer.permit(request)).repeated_permit
    finally:
        await connection.close()


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "two\nlines", "nul\0"])
async def test_a_pause_needs_a_reason_that_can_be_shown(pausable: Served, reason: str) -> None:
    async with pausable.process.client() as signer:
        with pytest.raises(InvalidField) as refused:
            await signer.pause(reason)
        assert refused.value.field == "reason"
        assert not (await signer.describe()).paused


async def test_the_metrics_tell_of_a_pause(pausable: Served) -> None:
    def shown() -> str:
        return urlopen(f"http://127.0.0.1:{pausable.process.metrics_port}/metrics").read().decode()

    async with pausable.process.client() as signer:
        await signer.pause("to see it")
        for _ in range(60):
            if paused := "acesteps_signer_paused 1.0" in await asyncio.to_thread(shown):
                break
            await asyncio.sleep(0.05)
        await signer.resume()
    assert paused
