"""Hostile and malformed requests over gRPC: each has its own reason and leaves nothing in the ledger."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acesteps.signer.v1 import signer_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.cid import raw_cid
from services.common.errors import FailedPrecondition, InvalidField
from services.common.provenance import AttestationKey
from services.signer.policy import CONDITIONS, LEDGER_CONDITIONS
from tests.signer.attested import CREATOR, Pod, metadata_of, request_for, statement, write_bundle
from tests.signer.hostile import HOSTILE, HOSTILE_ON_MAINNET, Build, Request, asked, document
from tests.signer.process import Client, Served, SignerProcess, write_files

ZERO = "0x" + "0" * 40


def cases(table: Mapping[tuple[str, str], Mapping[str, Build]]) -> list[Any]:
    return [
        pytest.param(reason, rule, build, id=f"{rule}-{name}")
        for (reason, rule), builds in table.items()
        for name, build in builds.items()
    ]


async def expect_refusal(served: Served, request: Request, reason: str, rule: str) -> None:
    async with served.process.client() as signer:
        with pytest.raises(FailedPrecondition) as refused:
            await signer.permit(request)
    assert (refused.value.reason, refused.value.metadata["rule"]) == (reason, rule)
    assert await served.rows(request.audio_hash) == []
    (line,) = await served.fetch("SELECT * FROM signer.audit WHERE audio_hash = $1", request.audio_hash)
    assert (line["verdict"], line["reason"], line["rule"]) == ("refused", reason, rule)
    assert line["signer"] is None


@pytest.mark.parametrize(("reason", "rule", "build"), cases(HOSTILE))
async def test_a_hostile_request_is_refused_with_its_reason(
    served: Served, reason: str, rule: str, build: Build
) -> None:
    await expect_refusal(served, build(), reason, rule)


def test_every_condition_of_a_request_has_a_hostile_one() -> None:
    conditions = {(c.reason, c.name) for c in CONDITIONS if c not in LEDGER_CONDITIONS}
    assert {*HOSTILE, *HOSTILE_ON_MAINNET} == conditions


MALFORMED: Mapping[str, tuple[str, str, Callable[[], Request]]] = {
    "no_envelopes": ("envelopes", "REQUIRED", asked(envelopes=[])),
    "33_envelopes": ("envelopes", "TOO_LONG", asked(envelopes=[b"{}"] * 33)),
    "empty_envelope": ("envelopes[0]", "REQUIRED", asked(envelopes=[b""])),
    "long_envelope": ("envelopes[1]", "TOO_LONG", asked(envelopes=[b"{}", b" " * 65_537])),
    "no_to": ("to", "REQUIRED", asked(to="")),
    "zero_to": ("to", "MALFORMED", asked(to=ZERO)),
    "short_to": ("to", "MALFORMED", asked(to=CREATOR[:-1])),
    "long_to": ("to", "TOO_LONG", asked(to=CREATOR + "0")),
    "to_with_wrong_checksum": ("to", "MALFORMED", asked(to=CREATOR.replace("C5", "c5"))),
    "to_without_0x": ("to", "MALFORMED", asked(to=CREATOR[2:] + "00")),
    "to_in_other_digits": ("to", "MALFORMED", asked(to="0x" + "\u0661" * 40)),
    "no_uri": ("metadata_uri", "REQUIRED", asked(metadata_uri="")),
    "uri_of_the_web": ("metadata_uri", "MALFORMED", asked(metadata_uri="https://example.com/song.json")),
    "uri_of_cid_v0": ("metadata_uri", "MALFORMED", asked(metadata_uri=f"ipfs://Qm{'a' * 44}")),
    "uri_in_capitals": ("metadata_uri", "MALFORMED", asked(metadata_uri=f"ipfs://{raw_cid(b'').upper()}")),
    "uri_with_a_path": ("metadata_uri", "TOO_LONG", asked(metadata_uri=f"ipfs://{raw_cid(b'')}/song.json")),
    "no_metadata": ("metadata", "REQUIRED", asked(metadata_uri=f"ipfs://{raw_cid(b'')}", metadata=b"")),
    "long_metadata": ("metadata", "TOO_LONG", document(lambda s: b" " * (256 * 1024) + metadata_of(s))),
    "no_hash": ("audio_hash", "REQUIRED", asked(audio_hash=b"")),
    "short_hash": ("audio_hash", "MALFORMED", asked(audio_hash=b"\1" * 31)),
    "long_hash": ("audio_hash", "TOO_LONG", asked(audio_hash=b"\1" * 33)),
    "unknown_format": ("format", "UNKNOWN_VALUE", asked(format=7)),
    "no_chain": ("chain_id", "REQUIRED", asked(chain_id=0)),
    "chain_beyond_eip2294": ("chain_id", "MALFORMED", asked(chain_id=2**63)),
    "chain_beyond_any_column": ("chain_id", "MALFORMED", asked(chain_id=2**64 - 1)),
    "to_with_a_nul": ("to", "MALFORMED", asked(to=CREATOR[:-1] + "\0")),
    "contract_too_short": ("contract", "MALFORMED", asked(contract=CREATOR[:-2])),
    "contract_too_long": ("contract", "TOO_LONG", asked(contract=CREATOR + "00")),
    "no_contract": ("contract", "REQUIRED", asked(contract="")),
    "zero_contract": ("contract", "MALFORMED", asked(contract=ZERO)),
}


@pytest.mark.parametrize(("field", "reason", "build"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_field_is_named_with_its_limit(
    signer: Client, served: Served, field: str, reason: str, build: Build
) -> None:
    request = build()
    with pytest.raises(InvalidField) as refused:
        await signer.permit(request)
    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert refused.value.limit
    assert await served.rows(request.audio_hash) == []
    newest = (await signer.list(page_size=1)).entries[0]
    assert (newest.verdict, newest.reason, newest.rule) == (pb.VERDICT_REFUSED, reason, field)


@pytest.fixture(scope="module")
def mainnet(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database]
) -> Iterator[Served]:
    """A signer for Ethereum's main chain, the packed format off."""
    folder, database = tmp_path_factory.mktemp("mainnet"), new_database()
    settings = write_files(folder) | {"SIGNER_DATABASE_URL": database.signer_dsn, "SIGNER_CHAIN_ID": "1"}
    settings = {name: value for name, value in settings.items() if not name.startswith("SIGNER_PACKED_")}
    with SignerProcess(settings, folder / "log").running() as process:
        yield Served(process, database)


@pytest.mark.parametrize(("reason", "rule", "build"), cases(HOSTILE_ON_MAINNET))
async def test_what_is_fit_for_development_is_refused_on_a_real_chain(
    mainnet: Served, reason: str, rule: str, build: Build
) -> None:
    await expect_refusal(mainnet, build(), reason, rule)


async def test_a_song_of_the_real_engine_is_permitted_on_a_real_chain(mainnet: Served) -> None:
    async with mainnet.process.client() as signer:
        permit = await signer.permit(request_for(statement(engine="acestep"), chain_id=1))
        described = await signer.describe()
    assert permit.signer == described.eip712_signer
    assert described.packed_signer == ""


async def test_a_new_bundle_counts_without_a_restart_and_an_older_one_never(
    served: Served, signer: Client
) -> None:
    bundle = Path(served.process.settings["SIGNER_TRUST_BUNDLE_FILE"])
    before = bundle.read_bytes()
    version = (await signer.describe()).trust_bundle_version
    newcomer = Pod(AttestationKey.new())
    with pytest.raises(FailedPrecondition, match="not in the bundle"):
        await signer.permit(request_for(statement(), pod=newcomer))

    write_bundle(bundle, version + 1, extra=(newcomer.trusted(),))
    await signer.permit(request_for(statement(), pod=newcomer))
    revoked = newcomer.trusted(revoked_at=datetime.now(UTC) - timedelta(seconds=1))
    write_bundle(bundle, version + 2, extra=(revoked,))
    with pytest.raises(FailedPrecondition, match="revoked"):
        await signer.permit(request_for(statement(), pod=newcomer))

    bundle.write_bytes(before)
    assert (await signer.describe()).trust_bundle_version == version + 2
    with pytest.raises(FailedPrecondition, match="revoked"):
        await signer.permit(request_for(statement(), pod=newcomer))
    write_bundle(bundle, version + 3)
