"""Songs that have failed for good, as those who run the platform see them."""

from typing import Any

import grpc
import pytest
import pytest_asyncio

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import OperatorServiceStub
from services.common.channels import open_channel
from services.common.errors import ResourceExhausted, error_from_rpc
from services.common.settings import ServiceSettings
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script
from tests.gateway.wallets import Wallet, bearer, signed_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(shared: Gateway) -> Any:
    channel = open_channel(f"127.0.0.1:{shared.settings.grpc_port}", ServiceSettings())
    yield OperatorServiceStub(channel)
    await channel.close()


async def failed(mesh: Mesh, gateway: Gateway) -> pb.Song:
    mesh.music.follow(Script(error=ResourceExhausted("OUT_OF_MEMORY", "the song does not fit")))
    return await gateway.ended((await gateway.create(title="Private")).id)


async def reason_of(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return error_from_rpc(refused.value).reason


async def test_failed_songs_are_listed_with_their_last_error_and_queued_again(
    shared_pods: Mesh, shared: Gateway, operator: Any
) -> None:
    first, second = await failed(shared_pods, shared), await failed(shared_pods, shared)
    listed = await operator.ListFailedSongs(pb.ListFailedSongsRequest(page_size=1), timeout=CALL_S)
    assert [s.song_id for s in listed.songs] == [second.id]
    assert listed.songs[0].failure.reason == "OUT_OF_MEMORY"
    assert "Private" not in str(listed)
    request = pb.ListFailedSongsRequest(page_size=1, page_token=listed.next_page_token)
    rest = await operator.ListFailedSongs(request, timeout=CALL_S)
    assert [s.song_id for s in rest.songs] == [first.id]
    assert not rest.next_page_token
    again = await operator.RequeueSong(pb.RequeueSongRequest(song_id=first.id), timeout=CALL_S)
    assert again.song.failures == 0
    done = await shared.ended(first.id)
    assert done.state == pb.SONG_STATE_SUCCEEDED
    answer = await shared.http.get("/v1/operator/failed-songs")
    assert [s["song_id"] for s in answer.json()["songs"]] == [second.id]
    assert (await shared.http.post(f"/v1/operator/songs/{second.id}:requeue")).status_code == 200
    assert (await shared.ended(second.id)).state == pb.SONG_STATE_SUCCEEDED


async def test_songs_that_did_not_fail_are_not_queued_again(
    shared_pods: Mesh, shared: Gateway, operator: Any
) -> None:
    done, _ = await made(shared)
    requeue = operator.RequeueSong
    assert (
        await reason_of(requeue(pb.RequeueSongRequest(song_id=done.id), timeout=CALL_S)) == "SONG_SUCCEEDED"
    )
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    await script.paused.wait()
    running = await requeue(pb.RequeueSongRequest(song_id=song.id), timeout=CALL_S)
    assert running.song.attempt == 1
    assert (await shared.get(song.id)).state == pb.SONG_STATE_RUNNING
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    assert (
        await reason_of(requeue(pb.RequeueSongRequest(song_id=song.id), timeout=CALL_S)) == "SONG_CANCELLED"
    )
    assert await reason_of(requeue(pb.RequeueSongRequest(song_id="x"), timeout=CALL_S)) == "SONG_NOT_FOUND"


async def test_an_account_is_no_operator(locked: Gateway, accounts: Any) -> None:
    headers = dict(bearer((await signed_in(accounts, Wallet())).session_token))
    for method, path in (("GET", "failed-songs"), ("POST", f"songs/{'0' * 8}:requeue")):
        answer = await locked.http.request(method, f"/v1/operator/{path}", headers=headers)
        assert (answer.status_code, problem_of(answer)["reason"]) == (403, "NOT_AN_OPERATOR")
