"""The operators' command line, run as they run it: takedowns, tiers, credentials of services."""

import asyncio
import json
import os
import sys
from typing import Any
from uuid import uuid4

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.wallets import Wallet, bearer, signed_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def admin(pods: Mesh, *arguments: str) -> tuple[int, list[Any], str]:
    """(exit status, lines, complaints)."""
    environment = {"PATH": os.environ["PATH"], "GATEWAY_DATABASE_URL": pods.environment["database_url"]}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway.admin", *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, [json.loads(line) for line in out.splitlines()], err.decode()


async def test_a_takedown_withholds_a_song_from_everyone_and_says_why(
    shared_pods: Mesh, shared: Gateway
) -> None:
    song, audio = await made(shared)
    token = (
        await shared.grpc.ShareSong(pb.ShareSongRequest(song_id=song.id), timeout=CALL_S)
    ).song.share_token
    assert await admin(shared_pods, "takedown", song.id, "--reason", "a court said so") == (
        0, [{"song": song.id, "taken_down": True}], "",
    )  # fmt: skip
    seen = await shared.get(song.id)
    assert (seen.takedown.reason, seen.share_token) == ("a court said so", "")
    for rpc, request in (
        ("StreamAudio", pb.StreamAudioRequest(song_id=song.id)),
        ("StreamAudio", pb.StreamAudioRequest(song_id=song.id, format=pb.AUDIO_FORMAT_WAV)),
        ("ShareSong", pb.ShareSongRequest(song_id=song.id)),
        ("SaveSong", pb.SaveSongRequest(song_id=song.id)),
        ("CreateSong", pb.CreateSongRequest(source_song_id=song.id, repaint={"start_s": 0, "end_s": 1})),
    ):
        assert (await shared.refusal(rpc, request)).reason == "SONG_TAKEN_DOWN", rpc
    answer = await shared.http.get(f"/v1/songs/{song.id}/audio")
    assert problem_of(answer)["reason"] == "SONG_TAKEN_DOWN"
    assert (await shared.http.get(f"/v1/shared/{token}")).status_code == 404
    assert (await admin(shared_pods, "restore", song.id))[0] == 0
    assert await shared.audio(song.id) == audio
    assert not (await shared.get(song.id)).HasField("takedown")


async def test_what_is_pinned_of_a_song_that_was_taken_down_is_not_shown(
    shared_pods: Mesh, shared: Gateway
) -> None:
    song, _ = await made(shared, creator_address=Wallet().address)
    await shared.refusal("SaveSong", pb.SaveSongRequest(song_id=song.id))  # pins; the signer is away
    path = f"/ipfs/{song.audio.cid}"
    assert (await shared.http.get(path)).status_code == 200
    await admin(shared_pods, "takedown", song.id, "--reason", "x")
    assert (await shared.http.get(path)).status_code == 404
    await admin(shared_pods, "restore", song.id)
    assert (await shared.http.get(path)).status_code == 200


async def test_an_account_is_found_and_given_another_tier(
    shared_pods: Mesh, locked: Gateway, accounts: Any
) -> None:
    wallet = Wallet()
    mine = await signed_in(accounts, wallet)
    status, (entry,), _ = await admin(shared_pods, "account", wallet.address)
    assert (status, entry["id"], entry["tier"]) == (0, mine.account.id, "free")
    status, (entry,), _ = await admin(shared_pods, "tier", mine.account.id, "creator")
    assert (status, entry["tier"]) == (0, "creator")
    answer = await locked.http.get("/v1/account", headers=dict(bearer(mine.session_token)))
    assert answer.json()["account"]["limits"]["songs_per_day"] == 500
    assert (await admin(shared_pods, "tier", mine.account.id, "gold"))[0] == 2


async def test_a_service_calls_on_an_accounts_behalf_until_it_is_revoked(
    shared_pods: Mesh, locked: Gateway, accounts: Any
) -> None:
    mine = await signed_in(accounts, Wallet())
    _, (credential,), _ = await admin(shared_pods, "add-service", "importer")
    assert (await admin(shared_pods, "add-service", "importer"))[0] == 2
    headers = dict(bearer(credential["secret"]))
    for whose in ({}, {"acesteps-account": "x"}, {"acesteps-account": str(uuid4())}):
        answer = await locked.http.get("/v1/songs", headers={**headers, **whose})
        assert (answer.status_code, problem_of(answer)["field"]) == (400, "acesteps-account")
    whose = {"acesteps-account": mine.account.id}
    answer = await locked.http.get("/v1/account", headers={**headers, **whose})
    assert answer.json()["account"]["id"] == mine.account.id
    answer = await locked.http.get("/v1/operator/failed-songs", headers={**headers, **whose})
    assert problem_of(answer)["reason"] == "NOT_AN_OPERATOR"
    assert (await admin(shared_pods, "revoke-service", "importer"))[0] == 0
    assert (await locked.http.get("/v1/account", headers={**headers, **whose})).status_code == 401


async def test_an_operators_credential_needs_no_account_and_makes_no_songs(
    shared_pods: Mesh, locked: Gateway
) -> None:
    _, (credential,), _ = await admin(shared_pods, "add-service", "sre", "--operator")
    headers = dict(bearer(credential["secret"]))
    assert (await locked.http.get("/v1/operator/failed-songs", headers=headers)).status_code == 200
    answer = await locked.http.post(
        "/v1/songs", headers=headers, json={"prompt": "calm", "instrumental": True}
    )
    assert problem_of(answer)["reason"] == "SCOPE_MISSING"


async def test_wrong_calls_say_what_is_wrong_and_change_nothing(shared_pods: Mesh) -> None:
    assert (await admin(shared_pods, "takedown", str(uuid4()), "--reason", "x"))[0] == 1
    assert (await admin(shared_pods, "takedown", "nonsense", "--reason", "x"))[0] == 2
    assert (await admin(shared_pods, "failed", "--limit", "0"))[0] == 2
    assert (await admin(shared_pods, "account", "nobody"))[0] == 1
    assert (await admin(shared_pods, "--database-url", "postgresql://127.0.0.1:9/x", "failed"))[0] == 2
    assert (await admin(shared_pods))[0] == 2
