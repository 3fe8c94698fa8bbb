"""The audit as operators read it: every request, page by page, by filter, each bounded."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField, ServiceError, Unavailable
from services.signer.audit import LIST, Line, Verdict
from services.signer.request import legible
from tests.signer.attested import CONTRACT, CREATOR, STRANGER, metadata_of, request_for, statement
from tests.signer.process import Client, Served


async def asked(signer: Client, *requests: pb.SignMintPermitRequest) -> None:
    for request in requests:
        try:
            await signer.permit(request)
        except ServiceError:
            continue


async def test_a_permit_its_repetition_and_a_refusal_are_told_newest_first(signer: Client) -> None:
    song = statement()
    request = request_for(song)
    stolen = request_for(song, metadata=metadata_of(song, name="Another"))
    await asked(signer, request, request, stolen)
    refused, repeated, permitted = (await signer.list(audio_hash=song.audio_sha256)).entries
    assert permitted.id < repeated.id < refused.id
    described = await signer.describe()
    for entry in (permitted, repeated):
        assert (entry.signer, entry.song_id) == (described.eip712_signer, song.song_id)
        assert 3590 < entry.deadline.seconds - entry.time.seconds <= 3600
    assert (permitted.verdict, repeated.verdict) == (pb.VERDICT_PERMITTED, pb.VERDICT_REPEATED)
    assert (refused.verdict, refused.reason, refused.rule) == (
        pb.VERDICT_REFUSED, "ALREADY_PERMITTED", "single_use",
    )  # fmt: skip
    assert refused.metadata_uri == stolen.metadata_uri
    assert (refused.signer, refused.HasField("deadline")) == ("", False)
    for entry in (permitted, repeated, refused):
        assert (entry.to, entry.contract, entry.chain_id) == (CREATOR, CONTRACT, 31337)
        assert (entry.format, entry.caller) == (pb.PERMIT_FORMAT_EIP712, "")
        assert abs(entry.time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(seconds=30)


async def test_what_is_malformed_is_not_kept_and_what_is_not_is(signer: Client, served: Served) -> None:
    song = statement()
    hostile = request_for(
        song,
        to="x" * 100_000,
        metadata_uri="y" * 100_000,
        metadata=b"z" * 100_000,
        contract="\0" * 10_000,
        chain_id=2**64 - 1,
        format=999,
    )
    await asked(signer, hostile)
    (entry,) = (await signer.list(audio_hash=song.audio_sha256)).entries
    assert (entry.reason, entry.rule) == ("TOO_LONG", "to")
    left_out = (entry.to, entry.metadata_uri, entry.contract, entry.chain_id, entry.format, entry.song_id)
    assert left_out == ("", "", "", 0, pb.PERMIT_FORMAT_UNSPECIFIED, "")
    (row,) = await served.fetch(
        "SELECT pg_column_size(a) AS bytes FROM signer.audit a WHERE id = $1", entry.id
    )
    assert row["bytes"] < 200


def test_no_line_is_longer_than_2_kib() -> None:
    line = Line(
        caller="ü" * 10_000,
        verdict=Verdict.REFUSED,
        asked=legible(request_for(statement())),
        song_id="x" * 128,
        reason="R" * 10_000,
        rule=f"envelopes[{'9' * 1000}]",
    )
    assert sum(len(str(value).encode()) for value in line.values()) < 2048


async def test_filters_leave_out_the_rest(signer: Client) -> None:
    mine, others = statement(), statement(creator_address=STRANGER)
    before = Timestamp()
    before.FromDatetime(datetime.now(UTC))
    await asked(signer, request_for(mine), request_for(others, to=STRANGER), request_for(others))
    after = Timestamp()
    after.FromDatetime(datetime.now(UTC))

    async def found(**question: Any) -> Sequence[bytes]:
        entries = (await signer.list(since=before, page_size=500, **question)).entries
        return [entry.audio_hash for entry in entries]

    both = [others.audio_sha256, others.audio_sha256, mine.audio_sha256]
    assert await found() == both
    assert await found(until=after) == both
    assert await found(to=STRANGER) == await found(to=STRANGER.lower()) == both[1:2]
    assert await found(verdict=pb.VERDICT_REFUSED) == both[:1]
    assert await found(verdict=pb.VERDICT_PERMITTED) == both[1:]
    assert await found(verdict=pb.VERDICT_REPEATED) == []
    assert await found(audio_hash=mine.audio_sha256) == both[2:]
    assert (await signer.list(until=before, audio_hash=mine.audio_sha256)).entries == []


async def test_permits_are_found_among_any_number_of_refusals(served: Served) -> None:
    """By an index without refusals in it; its use is what shows, before there are millions."""
    refusals = "SELECT '', 'refused', 'X' FROM generate_series(1, 5000)"
    await served.fetch(f"INSERT INTO signer.audit (caller, verdict, reason) {refusals}")
    await served.fetch("ANALYZE signer.audit")
    for verdict, found in ((Verdict.PERMITTED, True), (Verdict.REPEATED, True), (Verdict.REFUSED, False)):
        arguments = (2**63 - 1, None, None, verdict.value, None, None, 51)
        plan = "\n".join(row[0] for row in await served.fetch(f"EXPLAIN {LIST}", *arguments))
        assert ("audit_of_permits" in plan) is found, plan


async def test_pages_hold_every_line_once_also_while_new_ones_are_written(signer: Client) -> None:
    request = request_for(statement())
    await asked(signer, *[request] * 7)
    question = {"audio_hash": request.audio_hash, "page_size": 3}
    ids, token = list[int](), ""
    for size in (3, 3, 1):
        page = await signer.list(**question, page_token=token)
        assert len(page.entries) == size
        ids += [entry.id for entry in page.entries]
        token = page.next_page_token
        await asked(signer, request)
    assert token == ""
    assert len(set(ids)) == 7
    assert ids == sorted(ids, reverse=True)


async def test_a_full_last_page_says_that_it_is_the_last(signer: Client) -> None:
    request = request_for(statement())
    await asked(signer, *[request] * 2)
    page = await signer.list(audio_hash=request.audio_hash, page_size=2)
    assert (len(page.entries), page.next_page_token) == (2, "")


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("page_size", {"page_size": 501}),
    ("page_token", {"page_token": "x"}),
    ("page_token", {"page_token": "A" * 22}),
    ("page_token", {"page_token": "ü"}),
    ("audio_hash", {"audio_hash": b"\1" * 31}),
    ("to", {"to": "0x12"}),
    ("verdict", {"verdict": 9}),
    ("since", {"since": Timestamp(seconds=2**60)}),
    ("until", {"until": Timestamp(nanos=-1)}),
]


@pytest.mark.parametrize(("field", "question"), MALFORMED)
async def test_a_malformed_question_is_named(signer: Client, field: str, question: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as refused:
        await signer.list(**question)
    assert refused.value.field == field
    assert refused.value.limit


async def test_a_page_token_is_good_for_its_own_question_only(signer: Client) -> None:
    request = request_for(statement())
    await asked(signer, request, request)
    token = (await signer.list(audio_hash=request.audio_hash, page_size=1)).next_page_token
    with pytest.raises(InvalidField, match="none of ours"):
        await signer.list(page_token=token)


async def test_who_hangs_up_is_audited_all_the_same(signer: Client, served: Served) -> None:
    request = request_for(statement())
    holder = await asyncpg.connect(served.database.superuser_dsn)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM signer.switch FOR UPDATE")  # no permit gets past here
            lost = asyncio.create_task(signer.permit(request))
            await asyncio.sleep(0.3)
            lost.cancel()
            with pytest.raises(asyncio.CancelledError):
                await lost
            await asyncio.sleep(0.2)
        for _ in range(100):
            entries = (await signer.list(audio_hash=request.audio_hash)).entries
            if entries:
                break
            await asyncio.sleep(0.05)
    finally:
        await holder.close()
    assert [entry.verdict for entry in entries] == [pb.VERDICT_PERMITTED]


async def test_without_the_audit_nothing_leaves_not_even_a_refusal(signer: Client, served: Served) -> None:
    known, new, bad = (request_for(statement()) for _ in range(3))
    bad.to = STRANGER
    await signer.permit(known)
    block = "ALTER TABLE signer.audit ADD CONSTRAINT closed CHECK (false) NOT VALID"
    await served.fetch(block)
    try:
        for request in (known, new, bad):
            with pytest.raises(Unavailable) as refused:
                await signer.permit(request)
            assert refused.value.reason == "LEDGER_UNAVAILABLE"
        (row,) = await served.rows(new.audio_hash)
        assert row["signature"] is None
    finally:
        await served.fetch("ALTER TABLE signer.audit DROP CONSTRAINT closed")
    assert not (await signer.permit(new)).repeated_permit
    with pytest.raises(FailedPrecondition):
        await signer.permit(bad)
