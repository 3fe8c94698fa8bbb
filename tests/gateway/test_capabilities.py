"""What songs can be asked for, as anyone may know it."""

import httpx
from google.protobuf import json_format

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import InvalidField
from tests.gateway.mesh import CALL_S, NOBODY, Gateway, Mesh, eventually

ASKED = pb.GetCapabilitiesRequest()


async def engines(gateway: Gateway) -> list[pb.Engine]:
    return list((await gateway.grpc.GetCapabilities(ASKED, timeout=CALL_S)).engines)


async def test_both_faces_say_the_same_to_anyone(pods: Mesh) -> None:
    gateway = await pods.open(auth="accounts", public_url="https://songs.example")
    told = await gateway.grpc.GetCapabilities(ASKED, timeout=CALL_S)
    async with httpx.AsyncClient(base_url=str(gateway.http.base_url)) as stranger:
        answer = await stranger.get("/v1/capabilities")
    assert answer.status_code == 200
    assert json_format.ParseDict(answer.json(), pb.GetCapabilitiesResponse()) == told
    assert {genre.name for genre in told.genres} >= {"techno", "K-pop", "lo-fi hip-hop", "blues"}
    assert {genre.tier for genre in told.genres} <= {1, 2, 3}
    assert len(told.languages) == 17
    assert (told.chain_id, list(told.permit_formats)) == (gateway.settings.chain_id, [1, 2])


async def test_the_pods_that_are_ready_describe_themselves(pods: Mesh) -> None:
    gateway = await pods.open()

    async def told() -> bool:
        return bool(await engines(gateway))

    await eventually(told, within_s=10)
    (engine,) = await engines(gateway)
    assert engine.name
    assert engine.slots >= 1
    lyrics = await gateway.grpc.GetCapabilities(ASKED, timeout=CALL_S)
    assert [language.code for language in lyrics.languages if language.written] == ["en"]


async def test_where_nobody_is_there_is_no_engine_and_no_written_language(pods: Mesh) -> None:
    gateway = await pods.open(music_target=NOBODY, lyrics_target=NOBODY)
    told = await gateway.grpc.GetCapabilities(ASKED, timeout=CALL_S)
    assert not told.engines
    assert not any(language.written for language in told.languages)
    assert told.limits.prompt_characters == 1000


async def test_the_limits_are_those_that_creation_holds_to(pods: Mesh) -> None:
    gateway = await pods.open()
    limits = (await gateway.grpc.GetCapabilities(ASKED, timeout=CALL_S)).limits
    at_most = {
        "prompt": "a" * limits.prompt_characters,
        "title": "b" * limits.title_characters,
        "duration_s": limits.max_duration_s,
    }
    await gateway.grpc.CreateSong(pb.CreateSongRequest(instrumental=True, **at_most), timeout=CALL_S)
    await gateway.create(duration_s=limits.min_duration_s)
    beyond = {
        "prompt": "a" * (limits.prompt_characters + 1),
        "title": "b" * (limits.title_characters + 1),
        "lyrics": "c" * (limits.lyrics_characters + 1),
        "duration_s": limits.max_duration_s + 1,
    }
    for field, value in beyond.items():
        asked = {"prompt": "calm folk", field: value}
        refused = await gateway.refusal("CreateSong", pb.CreateSongRequest(**asked))
        assert isinstance(refused, InvalidField)
        assert refused.field == field
