"""A link for anyone: what it shows, what it does not, and that it can be taken back."""

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def shared_song(gateway: Gateway, song_id: str) -> pb.ShareSongResponse:
    return await gateway.grpc.ShareSong(pb.ShareSongRequest(song_id=song_id), timeout=CALL_S)


async def test_a_shared_song_is_seen_and_heard_without_an_account(
    shared_pods: Mesh, shared: Gateway, locked: Gateway
) -> None:
    song, audio = await made(shared, creator_address=CREATOR, instrumental=False)
    link = await shared_song(shared, song.id)
    token = link.song.share_token
    assert link.url.endswith(f"/v1/shared/{token}")
    assert (await shared_song(shared, song.id)).song == link.song  # again: the same link
    # at a gateway that lets nobody in
    page = await locked.http.get(f"/v1/shared/{token}")
    assert page.status_code == 200
    assert page.json()["song"]["title"] == song.title
    assert "prompt" not in page.json()["song"] or page.json()["song"]["prompt"] == ""
    for private in (CREATOR, song.id, song.prompt):
        assert private not in page.text
    file = await locked.http.get(f"/v1/shared/{token}/audio")
    assert (file.status_code, file.content) == (200, audio)
    part = await locked.http.get(f"/v1/shared/{token}/audio", headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, audio[5:10])
    head = await locked.http.head(f"/v1/shared/{token}/audio")
    assert head.headers["content-length"] == str(len(audio))
    over_grpc = await locked.grpc.GetSharedSong(pb.GetSharedSongRequest(share_token=token), timeout=CALL_S)
    assert over_grpc.song.audio.sha256 == song.audio.sha256
    assert await locked.audio("", share_token=token) == audio
    assert await locked.audio("", share_token=token, offset=100) == audio[100:]


async def test_a_revealed_prompt_is_shown(shared: Gateway) -> None:
    song, _ = await made(shared, reveal_prompt=True)
    token = (await shared_song(shared, song.id)).song.share_token
    assert (await shared.http.get(f"/v1/shared/{token}")).json()["song"]["prompt"] == song.prompt


async def test_a_link_that_was_taken_back_finds_nothing_and_never_comes_again(shared: Gateway) -> None:
    song, _ = await made(shared)
    token = (await shared_song(shared, song.id)).song.share_token
    await shared.grpc.UnshareSong(pb.UnshareSongRequest(song_id=song.id), timeout=CALL_S)
    for gone in (token, "x" * 22, "nonsense", "%00"):
        for path in (f"/v1/shared/{gone}", f"/v1/shared/{gone}/audio"):
            answer = await shared.http.get(path)
            assert (answer.status_code, problem_of(answer)["reason"]) == (404, "SHARE_NOT_FOUND")
    error = await shared.refusal("StreamAudio", pb.StreamAudioRequest(share_token=token))
    assert error.reason == "SHARE_NOT_FOUND"
    assert (await shared_song(shared, song.id)).song.share_token != token


async def test_a_deleted_song_is_shared_no_more(shared: Gateway) -> None:
    song, _ = await made(shared)
    token = (await shared_song(shared, song.id)).song.share_token
    await shared.grpc.DeleteSong(pb.DeleteSongRequest(song_id=song.id), timeout=CALL_S)
    assert (await shared.http.get(f"/v1/shared/{token}")).status_code == 404


async def test_a_song_in_the_making_is_not_shared(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(pause_after=1))
    song = await shared.create()
    error = await shared.refusal("ShareSong", pb.ShareSongRequest(song_id=song.id))
    assert error.reason == "SONG_NOT_READY"
