"""An account takes all of its data along, and goes; what proves minted songs stays."""

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, Gateway, Mesh, problem_of
from tests.gateway.wallets import Wallet, bearer, refusal, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def song_of(locked: Gateway, session: Any, **fields: Any) -> pb.Song:
    """A finished song of the account."""
    asked = {"prompt": "calm piano", "instrumental": True, "duration_s": 5.0, **fields}
    made = await locked.grpc.CreateSong(pb.CreateSongRequest(**asked), timeout=CALL_S, metadata=session)
    watch = pb.WatchSongRequest(song_id=made.song.id)
    song = made.song
    async for response in locked.grpc.WatchSong(watch, timeout=CALL_S, metadata=session):
        song = response.song
    return song


async def test_an_export_holds_everything_of_the_account_and_nothing_of_others(
    locked: Gateway, accounts: Any
) -> None:
    wallet = Wallet()
    mine = await signed_in(accounts, wallet)
    session, other = bearer(mine.session_token), bearer((await signed_in(accounts, Wallet())).session_token)
    songs = [await song_of(locked, session, title=f"Song {n}", prompt=f"calm {n}") for n in range(3)]
    hidden = pb.UpdateSongRequest(song_id=songs[0].id, hidden=True)
    await locked.grpc.UpdateSong(hidden, timeout=CALL_S, metadata=session)
    strange = await song_of(locked, other)
    answer = await locked.http.get("/v1/account/export", headers=dict(session))
    assert answer.headers["content-disposition"].startswith("attachment")
    document = json.loads(answer.content)
    assert document["account"]["wallets"][0]["address"] == wallet.address
    assert {entry["song"]["id"] for entry in document["songs"]} == {song.id for song in songs}
    assert {entry["song"]["prompt"] for entry in document["songs"]} == {f"calm {n}" for n in range(3)}
    assert all(json.loads(entry["envelope"])["payload"] for entry in document["songs"])
    assert strange.id not in answer.text
    assert mine.session_token not in answer.text
    call = accounts.ExportAccount(account_pb.ExportAccountRequest(), timeout=CALL_S, metadata=session)
    over_grpc = b"".join([piece.data async for piece in call])
    assert json.loads(over_grpc)["songs"] == document["songs"]


async def test_a_deleted_account_is_gone_and_its_permitted_songs_lose_their_texts_only(
    locked: Gateway, accounts: Any, shared_pods: Mesh
) -> None:
    wallet = Wallet()
    mine = await signed_in(accounts, wallet)
    session = bearer(mine.session_token)
    plain = await song_of(locked, session, title="Plain")
    permitted = await song_of(locked, session, title="Permitted")
    # The signer is away: nobody knows whether it gave a permit.
    save = pb.SaveSongRequest(song_id=permitted.id)
    assert (
        await refusal(locked.grpc.SaveSong(save, timeout=CALL_S, metadata=session))
    ).code.name == "UNAVAILABLE"
    request = account_pb.CreateApiKeyRequest(name="ci", scopes=[account_pb.SCOPE_READ])
    key = (await accounts.CreateApiKey(request, timeout=CALL_S, metadata=session)).secret
    wrong = await locked.http.delete("/v1/account", params={"confirm": "yes"}, headers=dict(session))
    assert problem_of(wrong)["field"] == "confirm"
    right = await locked.http.delete(
        "/v1/account", params={"confirm": mine.account.id}, headers=dict(session)
    )
    assert right.status_code == 200, right.text
    for secret in (mine.session_token, key):
        assert (await locked.http.get("/v1/account", headers=dict(bearer(secret)))).status_code == 401
    connection = await asyncpg.connect(shared_pods.environment["database_url"])
    rows = {
        str(row["id"]): row
        for row in await connection.fetch(
            "SELECT * FROM gateway.songs WHERE account_id = $1", UUID(mine.account.id)
        )
    }
    pins = {row["cid"] for row in await connection.fetch("SELECT cid FROM gateway.pins")}
    await connection.close()
    assert rows[plain.id]["deleted_at"] is not None
    assert rows[plain.id]["title"] == rows[plain.id]["prompt"] == ""
    kept = rows[permitted.id]
    assert (kept["deleted_at"], kept["prompt"], kept["hidden"]) == (None, "", True)
    assert kept["title"] == "Permitted"  # it is in the metadata, which is public
    assert kept["envelope"] is not None
    assert kept["metadata_cid"] in pins
    assert (await locked.http.get(f"/ipfs/{kept['metadata_cid']}")).status_code == 200
    # The wallet may come again, as somebody new.
    assert (await signed_in(accounts, wallet)).account.id != mine.account.id


async def test_a_key_neither_exports_nor_deletes(locked: Gateway, accounts: Any) -> None:
    mine = await signed_in(accounts, Wallet())
    scopes = [account_pb.SCOPE_READ, account_pb.SCOPE_WRITE, account_pb.SCOPE_MINT]
    request = account_pb.CreateApiKeyRequest(name="ci", scopes=scopes)
    made = await accounts.CreateApiKey(request, timeout=CALL_S, metadata=bearer(mine.session_token))
    headers = dict(bearer(made.secret))
    for answer in (
        await locked.http.get("/v1/account/export", headers=headers),
        await locked.http.delete("/v1/account", params={"confirm": mine.account.id}, headers=headers),
    ):
        assert (answer.status_code, problem_of(answer)["reason"]) == (403, "SESSION_REQUIRED")


async def test_the_account_of_a_development_stays(shared: Gateway) -> None:
    account = (await shared.http.get("/v1/account")).json()["account"]
    answer = await shared.http.delete("/v1/account", params={"confirm": account["id"]})
    assert problem_of(answer)["reason"] == "DEVELOPMENT_ACCOUNT"
