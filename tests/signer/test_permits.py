"""Permits over real gRPC from the real process: good for the contract, one per recording, the same again."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils.crypto import keccak

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.cid import digest_of_raw_cid
from services.common.errors import AlreadyExists, Internal
from tests.signer.attested import (
    CONTRACT,
    CREATOR,
    STRANGER,
    chain_of_edits,
    metadata_of,
    request_for,
    statement,
)
from tests.signer.process import Client, Served, SignerProcess

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def typed_data(request: pb.SignMintPermitRequest, permit: pb.SignMintPermitResponse) -> dict[str, object]:
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "MintPermit": [
                {"name": "to", "type": "address"},
                {"name": "audioHash", "type": "bytes32"},
                {"name": "metadataDigest", "type": "bytes32"},
                {"name": "deadline", "type": "uint256"},
            ],
        },
        "primaryType": "MintPermit",
        "domain": {
            "name": "AceSteps SongNFT",
            "version": "1",
            "chainId": request.chain_id,
            "verifyingContract": request.contract,
        },
        "message": {
            "to": request.to,
            "audioHash": request.audio_hash,
            "metadataDigest": digest_of_raw_cid(request.metadata_uri.removeprefix("ipfs://")),
            "deadline": permit.deadline.seconds,
        },
    }


async def test_a_permit_recovers_to_the_signer_over_typed_data(signer: Client) -> None:
    request = request_for(statement())
    permit = await signer.permit(request)
    recovered = Account.recover_message(
        encode_typed_data(full_message=typed_data(request, permit)), signature=permit.signature
    )
    described = await signer.describe()
    assert recovered == permit.signer == described.eip712_signer
    assert permit.metadata_digest == digest_of_raw_cid(request.metadata_uri.removeprefix("ipfs://"))
    assert not permit.repeated_permit
    left_s = permit.deadline.seconds - datetime.now(UTC).timestamp()
    assert permit.deadline.nanos == 0
    assert 3590 < left_s <= 3600
    assert (described.chain_id, described.contract, described.permit_lifetime_s) == (31337, CONTRACT, 3600)
    assert described.trust_bundle_version >= 1


async def test_an_unspecified_format_means_eip712(signer: Client) -> None:
    permit = await signer.permit(request_for(statement(), format=pb.PERMIT_FORMAT_UNSPECIFIED))
    assert permit.signer == (await signer.describe()).eip712_signer
    assert permit.HasField("deadline")


async def test_a_packed_permit_recovers_to_its_own_signer_and_has_no_deadline(signer: Client) -> None:
    request = request_for(statement(), format=pb.PERMIT_FORMAT_PACKED)
    permit = await signer.permit(request)
    packed = bytes.fromhex(request.to[2:]) + request.metadata_uri.encode() + request.audio_hash
    recovered = Account.recover_message(encode_defunct(keccak(packed)), signature=permit.signature)
    described = await signer.describe()
    assert recovered == permit.signer == described.packed_signer != described.eip712_signer
    assert not permit.HasField("deadline")


async def test_signatures_are_65_bytes_with_low_s_and_v_27_or_28(signer: Client) -> None:
    for _ in range(8):
        signature = (await signer.permit(request_for(statement()))).signature
        assert len(signature) == 65
        assert int.from_bytes(signature[32:64], "big") <= SECP256K1_ORDER // 2
        assert signature[64] in (27, 28)


@pytest.mark.parametrize("format_", [pb.PERMIT_FORMAT_EIP712, pb.PERMIT_FORMAT_PACKED])
async def test_asked_again_the_same_permit_comes_back(signer: Client, format_: pb.PermitFormat) -> None:
    request = request_for(statement(), format=format_)
    first, second = await signer.permit(request), await signer.permit(request)
    assert (first.repeated_permit, second.repeated_permit) == (False, True)
    second.repeated_permit = False
    assert second == first


async def test_the_case_of_an_address_is_no_other_identity(signer: Client) -> None:
    song = statement()
    first = await signer.permit(request_for(song))
    second = await signer.permit(request_for(song, to=CREATOR.lower(), contract=CONTRACT.lower()))
    assert second.signature == first.signature


async def test_a_second_permit_of_another_identity_for_the_same_audio_is_refused(signer: Client) -> None:
    song = statement()
    await signer.permit(request_for(song))
    others = {
        "metadata": request_for(song, metadata=metadata_of(song, name="Another title")),
        "format": request_for(song, format=pb.PERMIT_FORMAT_PACKED),
        # the pod attests the same audio once more, for somebody else
        "to": request_for(replace(song, creator_address=STRANGER), to=STRANGER),
    }
    for request in others.values():
        with pytest.raises(AlreadyExists) as refused:
            await signer.permit(request)
        assert refused.value.reason == "ALREADY_PERMITTED"


async def test_a_song_edited_31_times_is_permitted_when_every_link_is_attested(signer: Client) -> None:
    songs = chain_of_edits(32)
    permit = await signer.permit(request_for(*songs))
    assert len(permit.signature) == 65


async def test_200_concurrent_requests_for_one_song_give_exactly_one_permit(
    signer: Client, served: Served
) -> None:
    request = request_for(statement())
    permits = await asyncio.gather(*(signer.permit(request) for _ in range(200)))
    assert len({(p.signature, p.deadline.seconds) for p in permits}) == 1
    assert sum(not p.repeated_permit for p in permits) == 1
    rows = await served.rows(request.audio_hash)
    assert [row["signature"] for row in rows] == [permits[0].signature]
    verdicts = await served.fetch(
        "SELECT verdict FROM signer.audit WHERE audio_hash = $1", request.audio_hash
    )
    assert Counter(row["verdict"] for row in verdicts) == {"permitted": 1, "repeated": 199}


async def test_two_signers_asked_for_one_song_at_once_give_one_permit(served: Served, tmp_path: Path) -> None:
    request = request_for(statement())
    with SignerProcess(served.process.settings, tmp_path / "log").running() as second:
        async with served.process.client() as one, second.client() as other:
            asked = [client.permit(request) for _ in range(100) for client in (one, other)]
            permits = await asyncio.gather(*asked)
    assert len({(p.signature, p.deadline.seconds) for p in permits}) == 1
    assert sum(not p.repeated_permit for p in permits) == 1
    assert len(await served.rows(request.audio_hash)) == 1


async def test_of_50_concurrent_requests_for_different_identities_one_is_permitted(
    signer: Client, served: Served
) -> None:
    song = statement()
    requests = [request_for(song, metadata=metadata_of(song, name=f"Title {i}")) for i in range(50)]
    outcomes = await asyncio.gather(*(signer.permit(r) for r in requests), return_exceptions=True)
    permits = [o for o in outcomes if isinstance(o, pb.SignMintPermitResponse)]
    refusals = [o for o in outcomes if isinstance(o, AlreadyExists)]
    assert (len(permits), len(refusals)) == (1, 49)
    rows = await served.rows(song.audio_sha256)
    assert [row["signature"] for row in rows] == [permits[0].signature]


@pytest.mark.parametrize(
    "change",
    [
        "deadline = deadline + interval '1 year'",
        "signature = set_byte(signature, 9, 255 - get_byte(signature, 9))",
    ],
)
async def test_a_ledger_row_that_somebody_changed_is_not_given_out(
    signer: Client, served: Served, change: str
) -> None:
    request = request_for(statement())
    await signer.permit(request)
    connection = await asyncpg.connect(served.database.superuser_dsn)
    await connection.execute(f"UPDATE signer.permits SET {change} WHERE audio_hash = $1", request.audio_hash)
    await connection.close()
    with pytest.raises(Internal):
        await signer.permit(request)


async def test_verdicts_are_counted_and_the_log_names_hashes_only(signer: Client, served: Served) -> None:
    song = statement()
    request = request_for(song, metadata=metadata_of(song, name="A secret title"))
    await signer.permit(request)
    await signer.permit(request)
    with pytest.raises(AlreadyExists):
        await signer.permit(request_for(song))
    metrics = await asyncio.to_thread(
        lambda: urlopen(f"http://127.0.0.1:{served.process.metrics_port}/metrics").read().decode()
    )
    for line in (
        'acesteps_signer_permits_total{reason="",verdict="permitted"}',
        'acesteps_signer_permits_total{reason="",verdict="repeated"}',
        'acesteps_signer_permits_total{reason="ALREADY_PERMITTED",verdict="refused"}',
        "acesteps_signer_sign_seconds_count",
        'acesteps_signer_permit_seconds_count{verdict="permitted"}',
        "acesteps_signer_ledger_up 1.0",
        "acesteps_signer_paused 0.0",
        "acesteps_trust_bundle_version",
    ):
        assert line in metrics
    log = served.process.log.read_text()
    assert song.audio_sha256.hex() in log
    assert "A secret title" not in log
