"""A stranger with credentials of their own sees and touches nothing of another's, on every route and call.

And a key does what its scopes say, on every call.
"""

import re
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest
from google.protobuf import message_factory

from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1 import gateway_service_pb2_grpc as rpc
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.settings import ServiceSettings
from tests.gateway.mesh import CALL_S, Gateway, Mesh
from tests.gateway.test_leaving import song_of
from tests.gateway.wallets import Wallet, bearer, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What may be asked for without naming anything of anybody's.
NOT_FOUND = {"SONG_NOT_FOUND", "BATCH_NOT_FOUND", "API_KEY_NOT_FOUND", "WALLET_NOT_FOUND", "NOT_AN_OPERATOR"}
# What is the same whether there was one or not.
IDEMPOTENT = {("delete", "/v1/webhooks/{webhook_id}")}
# Enough of each request to get past its own fields.
FILLED: dict[str, dict[str, Any]] = {
    "UpdateSong": {"favourite": True},
    "CreateSong": {"repaint": {"start_s": 0, "end_s": 1}},
}


async def rows_of(mesh: Mesh, song_id: str) -> Any:
    connection = await asyncpg.connect(mesh.environment["database_url"])
    row = await connection.fetchrow("SELECT * FROM gateway.songs WHERE id = $1", UUID(song_id))
    await connection.close()
    return row


async def outcome(stub: Any, method: str, request: Any, metadata: Any) -> str:
    """The reason of its refusal, "" for none."""
    try:
        call = getattr(stub, method)(request, timeout=CALL_S, metadata=metadata)
        if hasattr(call, "read"):
            await call.read()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error_from_rpc(error).reason
    return ""


async def test_no_call_shows_or_changes_anothers_song(
    shared_pods: Mesh, locked: Gateway, accounts: Any
) -> None:
    owner = bearer((await signed_in(accounts, Wallet())).session_token)
    stranger = bearer((await signed_in(accounts, Wallet())).session_token)
    song = await song_of(locked, owner)
    before = await rows_of(shared_pods, song.id)
    asked = 0
    async with open_channel(f"127.0.0.1:{locked.settings.grpc_port}", ServiceSettings()) as channel:
        for service in pb.DESCRIPTOR.services_by_name.values():
            stub = getattr(rpc, f"{service.name}Stub")(channel)
            for method in service.methods:
                fields = method.input_type.fields_by_name
                named = [name for name in ("song_id", "source_song_id") if name in fields]
                for name in named:
                    request = message_factory.GetMessageClass(method.input_type)(
                        **{name: song.id, **FILLED.get(method.name, {})}
                    )
                    reason = await outcome(stub, method.name, request, stranger)
                    if reason == "UNIMPLEMENTED":
                        continue
                    assert reason in NOT_FOUND, (method.name, reason)
                    asked += 1
    assert asked >= 12
    assert await rows_of(shared_pods, song.id) == before


async def test_no_route_shows_or_changes_anothers_song(
    shared_pods: Mesh, locked: Gateway, accounts: Any
) -> None:
    wallet = Wallet()
    owner = bearer((await signed_in(accounts, wallet)).session_token)
    stranger = dict(bearer((await signed_in(accounts, Wallet())).session_token))
    song = await song_of(locked, owner)
    before = await rows_of(shared_pods, song.id)
    document = (await locked.http.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        if "{" not in path or path.startswith(("/ipfs/", "/v1/shared/")):
            continue
        for method in operations:
            change = {"enabled": False} if "webhook" in path else {"favourite": True}
            body = {"json": change} if method == "patch" else {}
            url = re.sub(r"\{\w+\}", song.id, path.replace("{address}", wallet.address))
            answer = await locked.http.request(method.upper(), url, headers=stranger, **body)
            refused = (403, 404) if (method, path) not in IDEMPOTENT else (204,)
            assert answer.status_code in refused, (method, path, answer.text)
            assert song.title not in answer.text or not song.title
            asked += 1
    assert asked >= 14
    assert await rows_of(shared_pods, song.id) == before
    listed = (await locked.http.get("/v1/songs", headers=stranger)).json()
    assert listed["songs"] == []


READS = {
    "ReviewPrompt", "GetSong", "ListSongs", "WatchSong", "StreamAudio", "GetFamily", "GetBatch", "WatchBatch",
    "ReviewLyrics", "SignAudioUrl", "GetPeaks", "GetSpectrogram", "GetTimeline", "GetCapabilities",
}  # fmt: skip
MINTS = {"SaveSong", "GetMint"}
PUBLIC = {"GetSharedSong", "GetCapabilities"}


@pytest.mark.parametrize("scope", ["READ", "WRITE", "MINT"])
async def test_a_key_does_what_its_scope_says_and_nothing_else(
    locked: Gateway, accounts: Any, scope: str
) -> None:
    session = bearer((await signed_in(accounts, Wallet())).session_token)
    number = account_pb.Scope.Value(f"SCOPE_{scope}")
    request = account_pb.CreateApiKeyRequest(name="ci", scopes=[number])
    made = await accounts.CreateApiKey(request, timeout=CALL_S, metadata=session)
    async with open_channel(f"127.0.0.1:{locked.settings.grpc_port}", ServiceSettings()) as channel:
        stub = rpc.GatewayServiceStub(channel)
        for method in pb.DESCRIPTOR.services_by_name["GatewayService"].methods:
            if method.name in PUBLIC:
                continue
            needed = "READ" if method.name in READS else "MINT" if method.name in MINTS else "WRITE"
            empty = message_factory.GetMessageClass(method.input_type)()
            reason = await outcome(stub, method.name, empty, bearer(made.secret))
            if reason == "UNIMPLEMENTED":
                continue
            assert (reason == "SCOPE_MISSING") == (needed != scope), (method.name, reason)
