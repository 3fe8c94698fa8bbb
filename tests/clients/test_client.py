"""The Python client of either kind, against real gateways that restart and attempts that end."""

import hashlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import acesteps
from acesteps import AsyncClient, Client, Extend, Variation
from services.common.errors import InvalidRequest
from tests.clients.conftest import Connect, listed, target_of
from tests.gateway.mesh import Gateway, Mesh
from tests.gateway.pods import Script, rendered

PROMPT = "calm jazz hop, 84 bpm"


async def test_a_song_is_made_watched_and_downloaded(
    connect: Connect, gateway: Gateway, tmp_path: Path
) -> None:
    client = connect(target_of(gateway))
    seen: list[acesteps.Song] = []
    song = await client.make(PROMPT, duration_s=5.0, instrumental=True, seed=7, on_change=seen.append)
    assert acesteps.state_of(song) == "succeeded"
    assert [one.revision for one in seen] == sorted({one.revision for one in seen})
    assert song == await client.get(song.id)
    expected = rendered(song.id, 7, 5.0)
    for audio_format, content in (("mp3", expected.audio), ("flac", expected.master)):
        file = await client.download(song.id, tmp_path / "song", audio_format=audio_format)
        assert file.path.read_bytes() == content
        assert (file.sha256, file.restarts) == (hashlib.sha256(content).hexdigest(), 0)
    wav = await client.download(song.id, tmp_path / "song.wav", audio_format="wav")
    assert wav.path.read_bytes().endswith(expected.pcm)


async def test_a_request_id_makes_one_song_and_without_one_every_call_makes_its_own(
    connect: Connect, gateway: Gateway
) -> None:
    client = connect(target_of(gateway))
    fields: dict[str, Any] = {"duration_s": 5.0, "instrumental": True, "seed": 1}
    first, again = [(await client.create(PROMPT, request_id="once", **fields)).song.id for _ in range(2)]
    other, another = [(await client.create(PROMPT, **fields)).song.id for _ in range(2)]
    assert first == again
    assert len({first, other, another}) == 3


async def test_an_edit_names_its_source_and_what_is_done(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    source = await client.make(PROMPT, duration_s=5.0, instrumental=True)
    song = await client.make(source_song_id=source.id, edit=Variation(variance=0.5))
    assert (song.source_song_id, song.WhichOneof("edit")) == (source.id, "variation")
    longer = (await client.create(source_song_id=source.id, edit=Extend(right_s=2.0))).song
    assert longer.duration_s == 7.0


async def test_a_list_goes_through_all_pages(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    made = [(await client.create(PROMPT, duration_s=5.0, instrumental=True)).song.id for _ in range(5)]
    assert [song.id for song in await listed(client.list(page_size=2))] == made[::-1]


async def test_songs_are_found_by_what_they_are(connect: Connect, pods: Mesh, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    fields: dict[str, Any] = {"duration_s": 5.0, "instrumental": True}
    night = await client.make(PROMPT, title="Night Train", **fields)
    noon = await client.make(PROMPT, title="Noon", **fields)
    pods.music.follow(Script(error=InvalidRequest("STEPS_UNKNOWN", "no such steps")))
    with pytest.raises(acesteps.SongFailed) as failure:
        await client.make(PROMPT, title="Night Bus", **fields)

    async def found(**filters: Any) -> list[str]:
        return [song.id for song in await listed(client.list(page_size=1, **filters))]

    failed = failure.value.song.id
    assert await found(states=["failed"]) == [failed]
    assert await found(states=["failed", "succeeded"]) == [failed, noon.id, night.id]
    assert await found(query="night") == [failed, night.id]
    assert (await client.update(noon.id, favourite=True)).favourite
    assert await found(favourite=True) == [noon.id]
    assert await found(favourite=False) == [failed, night.id]
    assert (await found(minted=True), await found(minted=False)) == ([], [failed, noon.id, night.id])
    assert (await client.update(noon.id, hidden=True)).favourite
    assert (await found(), await found(hidden=True)) == ([failed, night.id], [noon.id])
    assert acesteps.has_ended(await client.finish((await client.retry(failed)).id))


async def test_a_shared_song_is_heard_by_anyone_until_it_is_taken_back(
    connect: Connect, gateway: Gateway
) -> None:
    client = connect(target_of(gateway))
    song = await client.make(PROMPT, title="Night Train", duration_s=5.0, instrumental=True)
    token = (await client.share(song.id)).song.share_token
    assert (await client.shared(token)).title == "Night Train"
    assert (await client.unshare(song.id)).share_token == ""
    with pytest.raises(acesteps.NotFound, match="SHARE_NOT_FOUND"):
        await client.shared(token)


async def test_a_family_outlives_a_song_that_is_deleted(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    first = await client.make(PROMPT, duration_s=5.0, instrumental=True)
    second = await client.make(source_song_id=first.id, edit=Variation(variance=0.5))
    await client.delete(first.id)
    with pytest.raises(acesteps.NotFound):
        await client.get(first.id)
    members = (await client.family(second.id)).members
    assert [(one.song_id, one.deleted) for one in members] == [(first.id, True), (second.id, False)]


async def test_errors_are_typed_and_name_reason_field_and_limit(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    with pytest.raises(acesteps.InvalidArgument) as bad:
        await client.create(PROMPT, duration_s=4.0)
    assert (bad.value.reason, bad.value.field) == ("OUT_OF_RANGE", "duration_s")
    assert bad.value.limit in str(bad.value)
    assert "240" in bad.value.limit
    with pytest.raises(acesteps.InvalidArgument) as large:
        await client.create(PROMPT, seed=2**32)
    assert (large.value.field, large.value.limit) == ("seed", "0 to 4294967295")
    with pytest.raises(acesteps.NotFound) as missing:
        await client.get("00000000-0000-4000-8000-000000000000")
    assert missing.value.reason == "SONG_NOT_FOUND"
    with pytest.raises(acesteps.FailedPrecondition) as refused:
        await client.create("a song in the voice of Taylor Swift")
    assert (refused.value.reason, bool(refused.value.metadata["rule"])) == ("PROMPT_REFUSED", True)


def test_both_clients_have_the_same_methods_and_parameters() -> None:
    def surface(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {n: list(inspect.signature(m).parameters) for n, m in methods if not n.startswith("_")}

    assert surface(Client) == surface(AsyncClient)


def test_the_synchronous_client_is_the_twin_of_the_other() -> None:
    twin = Path(acesteps.__file__).parents[2] / "twin.py"
    done = subprocess.run([sys.executable, str(twin), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_generated_modules_load_no_client() -> None:
    code = (
        "import sys, acesteps.gateway.v1.gateway_service_pb2_grpc\n"
        "assert not {'acesteps.aio', 'acesteps.sync', 'acesteps.cli'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in acesteps.__all__:
        assert getattr(acesteps, name)
