"""Several gateways on one database, and lists and queues that nobody else touches."""

import asyncio

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, Gateway, Mesh
from tests.gateway.pods import Script, rendered


async def test_the_first_audio_comes_at_once(pods: Mesh, gateway: Gateway) -> None:
    pods.music.follow(Script(pause_after=1))
    asked = asyncio.get_running_loop().time()
    song = await gateway.create(instrumental=False)
    await anext(gateway.listen(song.id))
    assert asyncio.get_running_loop().time() - asked < 1.0  # of 1.5 s; engines need theirs


async def test_a_list_is_read_page_by_page_newest_first(pods: Mesh) -> None:
    gateway = await pods.open(workers=0)
    made = [(await gateway.create(title=f"song {n}")).id for n in range(5)]
    seen, token = [], ""
    while True:
        request = pb.ListSongsRequest(page_size=2, page_token=token)
        page = await gateway.grpc.ListSongs(request, timeout=CALL_S)
        seen += [song.id for song in page.songs]
        if not (token := page.next_page_token):
            break
        await gateway.create(title="made meanwhile")  # moves nothing on later pages
    assert seen == made[::-1]
    assert len((await gateway.grpc.ListSongs(pb.ListSongsRequest(), timeout=CALL_S)).songs) == 7


async def test_a_cancelled_song_in_the_queue_is_never_begun(pods: Mesh) -> None:
    without_workers = await pods.open(workers=0)
    song = await without_workers.create()
    await without_workers.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    gateway = await pods.open()
    await gateway.ended((await gateway.create()).id)
    assert song.id not in [spec.song_id for spec in pods.music.specs]


@pytest.mark.parametrize("listen", [True, False], ids=["with notices", "polling only"])
async def test_songs_are_made_and_heard_across_replicas(pods: Mesh, listen: bool) -> None:
    face = await pods.open(workers=0, listen=listen, poll_s=0.05)
    await pods.open(listen=listen, poll_s=0.05)
    song = await face.create()
    assert await face.audio(song.id) == rendered(song.id, song.seed, 5.0).audio
    assert (await face.ended(song.id)).state == pb.SONG_STATE_SUCCEEDED
