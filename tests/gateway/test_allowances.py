"""What a tier allows: songs a day, lengths, and the account's own wallets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
import pytest_asyncio

from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.account_service_pb2_grpc import AccountServiceStub
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.settings import ServiceSettings
from tests.gateway.mesh import CALL_S, Gateway, Mesh, problem_of
from tests.gateway.wallets import SITE, Wallet, bearer, refusal, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIERS = """
[small]
priority = 3
concurrency = 1
longest_s = 30
songs_per_day = 3
"""
SONG = {"prompt": "calm piano", "instrumental": True, "duration_s": 5}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiered(shared_pods: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    file: Path = tmp_path_factory.mktemp("tiers") / "tiers.toml"
    file.write_text(TIERS)
    return await shared_pods.open(auth="accounts", site_url=SITE, tiers_file=file)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def entry(tiered: Gateway) -> AsyncIterator[Any]:
    channel = open_channel(f"127.0.0.1:{tiered.settings.grpc_port}", ServiceSettings())
    yield AccountServiceStub(channel)
    await channel.close()


async def create(tiered: Gateway, session: Any, **fields: Any) -> Any:
    request = pb.CreateSongRequest(**{**SONG, **fields})
    return await tiered.grpc.CreateSong(request, timeout=CALL_S, metadata=session)


async def test_a_days_songs_are_counted_and_told(tiered: Gateway, entry: Any, shared_pods: Mesh) -> None:
    session = bearer((await signed_in(entry, Wallet())).session_token)
    for left in (2, 1, 0):
        answer = await tiered.http.post(
            "/v1/songs", json={**SONG, "request_id": f"r{left}"}, headers=dict(session)
        )
        assert answer.status_code == 201
        assert answer.headers["ratelimit-limit"] == "3"
        assert answer.headers["ratelimit-remaining"] == str(left)
        assert 86_000 < int(answer.headers["ratelimit-reset"]) <= 86_400
    refused = await tiered.http.post("/v1/songs", json=SONG, headers=dict(session))
    assert (refused.status_code, problem_of(refused)["reason"]) == (429, "DAILY_QUOTA")
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    # a repeat is no new song
    again = await tiered.http.post("/v1/songs", json={**SONG, "request_id": "r0"}, headers=dict(session))
    assert again.status_code == 201
    # nor does a deleted one give a turn back
    song_id = again.json()["song"]["id"]
    assert (await tiered.http.delete(f"/v1/songs/{song_id}", headers=dict(session))).status_code == 204
    assert (await refusal(create(tiered, session))).reason == "DAILY_QUOTA"
    account = (await tiered.http.get("/v1/account", headers=dict(session))).json()["account"]
    assert account["limits"]["songs_per_day"] == 3
    assert account["limits"]["songs_left"] == 0
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    await connection.execute("UPDATE gateway.songs SET created_at = created_at - interval '1 day'")
    await connection.close()
    await create(tiered, session)


async def test_many_at_once_get_no_more_than_the_day_has(tiered: Gateway, entry: Any) -> None:
    session = bearer((await signed_in(entry, Wallet())).session_token)
    answers = await asyncio.gather(*(create(tiered, session) for _ in range(9)), return_exceptions=True)
    reasons = [error_from_rpc(a).reason for a in answers if isinstance(a, grpc.aio.AioRpcError)]
    assert reasons == ["DAILY_QUOTA"] * 6


async def test_a_song_longer_than_the_tiers_is_refused_with_its_limit(tiered: Gateway, entry: Any) -> None:
    session = bearer((await signed_in(entry, Wallet())).session_token)
    error = await refusal(create(tiered, session, duration_s=31))
    assert (error.reason, error.metadata["field"]) == ("OUT_OF_RANGE", "duration_s")
    assert error.metadata["limit"] == "at most 30 seconds"


async def test_a_song_is_made_for_the_default_wallet_or_another_of_the_account(
    tiered: Gateway, entry: Any
) -> None:
    first, second, strange = Wallet(), Wallet(), Wallet()
    session = bearer((await signed_in(entry, first)).session_token)
    assert (await create(tiered, session)).song.creator_address == first.address
    nonce = await entry.CreateNonce(account_pb.CreateNonceRequest(), timeout=CALL_S)
    link = account_pb.LinkWalletRequest(**second.answer(nonce))
    await entry.LinkWallet(link, timeout=CALL_S, metadata=session)
    other = await create(tiered, session, creator_address=second.address.lower())
    assert other.song.creator_address == second.address
    error = await refusal(create(tiered, session, creator_address=strange.address))
    assert (error.reason, error.metadata["field"]) == ("OUT_OF_RANGE", "creator_address")
