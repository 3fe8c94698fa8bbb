"""Whatever the gateway says or makes of a procedural song says that it is no AI's; nobody else's does."""

import io
import json
from uuid import UUID

import pytest
import soundfile

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.accounts import DEVELOPMENT_ACCOUNT
from services.gateway.database import open_database
from services.gateway.minting.metadata import metadata_json
from services.gateway.store import Store
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made
from tests.gateway.pods import Script

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]

SENTENCES = {
    "sketch": "This song was made by a procedural engine (sketch), not by AI.",
    "acestep": "This song was made by AI (engine acestep).",
}
both = pytest.mark.parametrize(("engine", "procedural"), [("sketch", True), ("acestep", False)])


@both
async def test_the_song_says_so_wherever_it_is_read(
    shared_pods: Mesh, shared: Gateway, engine: str, procedural: bool
) -> None:
    shared_pods.music.engine = engine
    song, _ = await made(shared)
    assert (song.engine, song.procedural) == (engine, procedural)
    assert (await shared.http.get(f"/v1/songs/{song.id}")).json()["song"]["procedural"] is procedural
    (listed, *_) = (await shared.http.get("/v1/songs", params={"page_size": 1})).json()["songs"]
    assert (listed["id"], listed["procedural"]) == (song.id, procedural)
    link = await shared.grpc.ShareSong(pb.ShareSongRequest(song_id=song.id), timeout=CALL_S)
    page = (await shared.http.get(f"/v1/shared/{link.song.share_token}")).json()
    assert page["song"]["procedural"] is procedural


async def test_nothing_is_said_before_it_is_known(shared_pods: Mesh, shared: Gateway) -> None:
    paused = Script(pause_after=0)
    shared_pods.music.follow(paused)
    song = await shared.create()
    await paused.paused.wait()
    assert not (await shared.get(song.id)).procedural
    paused.go_on.set()
    assert (await shared.ended(song.id)).procedural


@both
async def test_the_wav_that_is_made_of_the_master_says_so(
    shared_pods: Mesh, shared: Gateway, engine: str, procedural: bool
) -> None:
    shared_pods.music.engine = engine
    song, _ = await made(shared)
    answer = await shared.http.get(f"/v1/songs/{song.id}/audio", params={"format": "wav"})
    with soundfile.SoundFile(io.BytesIO(answer.content)) as wav:
        assert wav.comment == SENTENCES[engine]
        assert wav.frames == 5 * 44_100
    part = await shared.http.get(
        f"/v1/songs/{song.id}/audio", params={"format": "wav"}, headers={"range": "bytes=40-200"}
    )
    assert part.content == answer.content[40:201]


@both
async def test_the_metadata_says_so(
    shared_pods: Mesh, shared: Gateway, engine: str, procedural: bool
) -> None:
    shared_pods.music.engine = engine
    made_song, _ = await made(shared)
    async with open_database(shared_pods.environment["database_url"], connections=1) as database:
        song = await Store(database).get(DEVELOPMENT_ACCOUNT.id, UUID(made_song.id))
    assert song is not None
    document = json.loads(metadata_json(song, "bafyimage"))
    traits = {trait["trait_type"]: trait["value"] for trait in document["attributes"]}
    told = "sketch (procedural, not AI)" if procedural else "acestep"
    assert traits["Engine"] == told
    assert ("made procedurally, without AI," in document["description"]) is procedural
    assert ("made by AI" in document["description"]) is not procedural
