"""Both faces are twins: the same requests, the same answers, the same reasons for every bad input."""

import asyncio
import gc
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from uvicorn.protocols.http.h11_impl import H11Protocol

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.faces.problems import HTTP_STATUS
from services.gateway.faces.proto_models import json_of
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
STRANGE = "00000000-0000-4000-8000-000000000000"

BAD_CREATIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": ""}, "REQUIRED", "prompt"),
    ({"prompt": " \n"}, "REQUIRED", "prompt"),
    ({"prompt": "x" * 1001}, "TOO_LONG", "prompt"),
    ({"prompt": "a\u0007b"}, "MALFORMED", "prompt"),
    ({"title": "x" * 121}, "TOO_LONG", "title"),
    ({"lyrics": "x" * 20_001}, "TOO_LONG", "lyrics"),
    ({"lyrics": "la", "instrumental": True}, "OUT_OF_RANGE", "lyrics"),
    ({"language": "english"}, "MALFORMED", "language"),
    ({"duration_s": 4.9}, "OUT_OF_RANGE", "duration_s"),
    ({"duration_s": 240.5}, "OUT_OF_RANGE", "duration_s"),
    ({"duration_s": 0}, "OUT_OF_RANGE", "duration_s"),
    ({"duration_s": -1}, "OUT_OF_RANGE", "duration_s"),
    ({"duration_s": float("nan")}, "OUT_OF_RANGE", "duration_s"),
    ({"request_id": "a b"}, "MALFORMED", "request_id"),
    ({"request_id": "x" * 65}, "MALFORMED", "request_id"),
    ({"creator_address": "0x12"}, "MALFORMED", "creator_address"),
    ({"creator_address": "0x" + "Ab" * 20}, "MALFORMED", "creator_address"),
    ({"creator_address": "0x" + "0" * 40}, "MALFORMED", "creator_address"),
    ({"prompt": 'a cover of "Yesterday"'}, "PROMPT_REFUSED", "prompt"),
]

# Bodies that have no twin on gRPC: its messages cannot say them.
BAD_BODIES = [
    ('{"prompt": "x", "tempo": 3}', "UNKNOWN_FIELD", "tempo"),
    ('{"prompt": "x", "tempo": null}', "UNKNOWN_FIELD", "tempo"),
    ('{"prompt": "x", "\\ud800": 1}', "UNKNOWN_FIELD", "?"),
    ('{"prompt": 5}', "MALFORMED", "prompt"),
    ('{"prompt": "\\ud800"}', "MALFORMED", "prompt"),
    ('{"prompt": "x", "instrumental": "yes"}', "MALFORMED", "instrumental"),
    ('{"prompt": "x", "seed": 4294967296}', "OUT_OF_RANGE", "seed"),
    ('{"prompt": "x", "seed": -1}', "OUT_OF_RANGE", "seed"),
    ('{"prompt": "x", "seed": 1e99}', "MALFORMED", "seed"),
    ('{"prompt": "x", "duration_s": 1e999}', "OUT_OF_RANGE", "duration_s"),
    ('{"prompt": "x", "duration_s": "long"}', "MALFORMED", "duration_s"),
    ('{"prompt": "x", "duration_s": true}', "MALFORMED", "duration_s"),
    ('{"prompt": "x", "duration_s": 1' + "0" * 400 + "}", "MALFORMED", "duration_s"),
    ('{"prompt": "x", "seed": 1' + "0" * 5000 + "}", "MALFORMED", "body"),
    ("{", "MALFORMED", "body"),
    ("[]", "MALFORMED", "body"),
    ("[" * 30_000, "MALFORMED", "body"),
    (b"\xff\xfe", "MALFORMED", "body"),
]


def same(problem: Mapping[str, Any], error: Any) -> bool:
    """Whether a problem document says what a gRPC error says."""
    expected = {**error.metadata, "reason": error.reason, "detail": error.message}
    return {**expected, "status": HTTP_STATUS[error.code]}.items() <= problem.items()


@pytest.mark.parametrize(("fields", "reason", "field"), BAD_CREATIONS, ids=lambda value: str(value)[:24])
async def test_a_bad_creation_is_refused_alike(
    shared: Gateway, fields: dict[str, Any], reason: str, field: str
) -> None:
    asked = {"prompt": "calm jazz"} | fields
    error = await shared.refusal("CreateSong", pb.CreateSongRequest(**asked))
    answer = await shared.http.post("/v1/songs", content=json.dumps(asked), headers=JSON)
    assert (error.reason, error.metadata["field"]) == (reason, field)
    assert error.metadata.get("limit") or error.metadata.get("rule")
    assert same(problem_of(answer), error)


@pytest.mark.parametrize(("body", "reason", "field"), BAD_BODIES, ids=lambda value: str(value)[:24])
async def test_a_bad_body_is_refused_and_named(
    shared: Gateway, body: str | bytes, reason: str, field: str
) -> None:
    answer = await shared.http.post("/v1/songs", content=body, headers=JSON)
    problem = problem_of(answer)
    assert (answer.status_code, problem["reason"], problem.get("field")) == (400, reason, field)
    if field == "body":
        assert problem["limit"] == "one JSON object"
    elif reason == "UNKNOWN_FIELD":
        assert problem["limit"].startswith("known: request_id, prompt, title, ")
    else:
        assert problem["limit"]


async def test_a_length_is_a_minute_only_where_none_is_given(shared: Gateway) -> None:
    asked = pb.CreateSongRequest(prompt="calm jazz", instrumental=True)
    song = (await shared.grpc.CreateSong(asked, timeout=CALL_S)).song
    assert song.duration_s == 60
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    asked.duration_s = 0
    error = await shared.refusal("CreateSong", asked)
    assert (error.reason, error.metadata["limit"]) == ("OUT_OF_RANGE", "5 to 240 seconds")


@pytest.mark.parametrize("song_id", [STRANGE, "nonsense", STRANGE.replace("-", ""), STRANGE.upper() + "a"])
async def test_an_unknown_song_is_unknown_everywhere(shared: Gateway, song_id: str) -> None:
    calls = [
        ("GetSong", pb.GetSongRequest, "GET", ""),
        ("WatchSong", pb.WatchSongRequest, "GET", "/events"),
        ("StreamAudio", pb.StreamAudioRequest, "GET", "/audio"),
        ("CancelSong", pb.CancelSongRequest, "POST", ":cancel"),
        ("SaveSong", pb.SaveSongRequest, "POST", ":save"),
        ("GetMint", pb.GetMintRequest, "GET", "/mint"),
    ]
    for rpc, message, method, suffix in calls:
        error = await shared.refusal(rpc, message(song_id=song_id))
        answer = await shared.http.request(method, f"/v1/songs/{song_id}{suffix}")
        assert (error.reason, error.metadata["field"]) == ("SONG_NOT_FOUND", "song_id"), rpc
        assert error.metadata["limit"] == "the id of a song of yours (UUID)"
        assert same(problem_of(answer), error), rpc
    assert (await shared.http.head(f"/v1/songs/{song_id}/audio")).status_code == 404


async def test_a_missing_song_id_is_named(shared: Gateway) -> None:
    error = await shared.refusal("GetSong", pb.GetSongRequest())
    assert (error.reason, error.metadata["field"]) == ("REQUIRED", "song_id")


@pytest.mark.parametrize(
    ("query", "request_fields"),
    [
        ({"page_size": "101"}, {"page_size": 101}),
        ({"page_token": "nonsense"}, {"page_token": "nonsense"}),
        ({"page_token": "é"}, {"page_token": "é"}),
    ],
    ids=["page_size", "page_token", "not ascii"],
)
async def test_a_bad_page_is_refused_alike(
    shared: Gateway, query: dict[str, str], request_fields: dict[str, Any]
) -> None:
    error = await shared.refusal("ListSongs", pb.ListSongsRequest(**request_fields))
    answer = await shared.http.get("/v1/songs", params=query)
    assert error.metadata["field"] == next(iter(query))
    assert same(problem_of(answer), error)


async def test_an_unknown_format_is_refused_alike(shared: Gateway) -> None:
    song, _ = await made(shared)
    request = pb.StreamAudioRequest(song_id=song.id)
    request.format = 99  # proto3 enums are open
    error = await shared.refusal("StreamAudio", request)
    problem = problem_of(await shared.http.get(f"/v1/songs/{song.id}/audio", params={"format": "ogg"}))
    said = (error.reason, error.metadata["field"], error.metadata["limit"])
    assert said == ("UNKNOWN_VALUE", "format", "mp3, wav or flac")
    assert (problem["reason"], problem["field"], problem["limit"]) == said
    body = {"format": "PERMIT_FORMAT_GOLD"}
    problem = problem_of(await shared.http.post(f"/v1/songs/{song.id}:save", json=body))
    assert (problem["reason"], problem["field"]) == ("UNKNOWN_VALUE", "format")


async def test_a_query_that_means_nothing_is_refused(shared: Gateway) -> None:
    for query, reason, field in (
        ("page_size=many", "MALFORMED", "page_size"),
        ("page_size=-1", "OUT_OF_RANGE", "page_size"),
        ("page_size=" + "9" * 5000, "OUT_OF_RANGE", "page_size"),
        ("size=3", "UNKNOWN_FIELD", "size"),
    ):
        problem = problem_of(await shared.http.get(f"/v1/songs?{query}"))
        assert (problem["reason"], problem["field"]) == (reason, field)
        assert problem["limit"]


async def test_the_faces_show_the_same_song(shared: Gateway) -> None:
    asked = {"prompt": "calm jazz", "duration_s": 5, "instrumental": True, "title": None}
    answer = await shared.http.post("/v1/songs", json=asked)
    song_id = answer.json()["song"]["id"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/songs/{song_id}")
    song = await shared.ended(song_id)
    shown = await shared.http.get(answer.headers["location"])
    assert json_format.Parse(shown.text, pb.GetSongResponse()).song == song
    document = shown.json()["song"]
    assert (document["state"], document["reveal_prompt"]) == ("SONG_STATE_SUCCEEDED", False)  # also defaults
    assert document["audio"]["bytes"] == song.audio.bytes
    listed = (await shared.http.get("/v1/songs", params={"page_size": 1})).json()
    assert listed["songs"] == [document]
    assert listed["next_page_token"]


async def test_a_prompt_is_reviewed_alike(shared: Gateway) -> None:
    for prompt in ("calm jazz at 84 bpm", "sung by Elvis Presley"):
        request = pb.ReviewPromptRequest(prompt=prompt)
        answer = await shared.grpc.ReviewPrompt(request, timeout=CALL_S)
        over_http = await shared.http.post("/v1/prompts:review", json={"prompt": prompt})
        assert (over_http.status_code, over_http.text) == (200, json_of(answer))
        assert answer.allowed is not prompt.startswith("sung")


async def test_a_repeat_over_the_other_face_is_the_same_song(shared: Gateway) -> None:
    song = await shared.create(request_id="either-face", seed=0)
    asked = json.loads(
        json_of(pb.CreateSongRequest(request_id="either-face", prompt=song.prompt, instrumental=True))
    )
    answer = await shared.http.post("/v1/songs", json={**asked, "duration_s": 5, "seed": 0})
    assert answer.json()["song"]["id"] == song.id
    answer = await shared.http.post("/v1/songs", json={**asked, "duration_s": 5})  # another: a drawn seed
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "REQUEST_ID_REUSED")


async def events(response: httpx.Response) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """(id, song) of each server-sent event."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            assert fields["event"] == "song"
            yield int(fields["id"]), json.loads(fields.pop("data"))


async def test_events_follow_a_song_and_resume(shared: Gateway, shared_pods: Mesh) -> None:
    script = Script(pause_after=2)
    shared_pods.music.follow(script)
    song = await shared.create()
    url = f"/v1/songs/{song.id}/events"
    async with shared.http.stream("GET", url) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for revision, shown in events(response):
            assert shown["revision"] == revision
            if "first_audio_time" in shown:
                break
    script.go_on.set()
    async with shared.http.stream("GET", url, headers={"Last-Event-ID": str(revision)}) as response:
        rest = [(number, shown["state"]) async for number, shown in events(response)]
    assert [number for number, _ in rest] == sorted({number for number, _ in rest})
    assert rest[0][0] > revision
    assert rest[-1][1] == "SONG_STATE_SUCCEEDED"
    seen = await shared.http.get(url, headers={"Last-Event-ID": str(rest[-1][0])})
    assert (seen.status_code, seen.content) == (204, b"")  # no need to ask again
    problem = problem_of(await shared.http.get(url, headers={"Last-Event-ID": "x"}))
    assert (problem["reason"], problem["field"]) == ("MALFORMED", "Last-Event-ID")


async def test_silence_is_filled_with_heartbeats(
    shared: Gateway, shared_pods: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.faces.http_songs.HEARTBEAT_S", 0.05)
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    await script.paused.wait()
    async with shared.http.stream("GET", f"/v1/songs/{song.id}/events") as response:
        async for line in response.aiter_lines():
            if line == ": still here":
                break
    script.go_on.set()
    await shared.ended(song.id)


async def test_a_large_body_is_refused_announced_or_not(shared: Gateway) -> None:
    large = b'{"prompt": "' + b"x" * 300_000 + b'"}'

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    for content in (large, in_pieces()):
        answer = await shared.http.post("/v1/songs", content=content, headers=JSON)
        assert (answer.status_code, problem_of(answer)["reason"]) == (413, "BODY_TOO_LARGE")


async def test_the_frameworks_own_errors_are_problems_too(shared: Gateway) -> None:
    for method, path, status, reason in (
        ("GET", "/nowhere", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/v1/songs/", 404, "ROUTE_NOT_FOUND"),
        ("DELETE", "/v1/songs", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/ipfs/bafynothing", 404, "NOT_PINNED"),
        ("GET", "/ipfs/b%00", 404, "NOT_PINNED"),
        ("GET", "/ipfs/..%2f..%2fetc", 404, "ROUTE_NOT_FOUND"),
    ):
        answer = await shared.http.request(method, path)
        assert (answer.status_code, problem_of(answer)["reason"]) == (status, reason)


async def test_pages_of_allowed_origins_may_call(shared_pods: Mesh) -> None:
    gateway = await shared_pods.open(workers=0, cors_origins=("https://studio.example",))
    for origin, allowed in (("https://studio.example", True), ("https://evil.example", False)):
        answer = await gateway.http.get("/v1/songs", headers={"Origin": origin})
        assert ("access-control-allow-origin" in answer.headers) is allowed


async def test_openapi_describes_every_route_from_the_protos(shared: Gateway) -> None:
    document = (await shared.http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    fields = {field.name for field in pb.Song.DESCRIPTOR.fields}
    assert set(schemas["Song"]["properties"]) == fields
    assert set(schemas["CreateSongRequest"]["properties"]) == {
        field.name for field in pb.CreateSongRequest.DESCRIPTOR.fields
    }
    assert "SONG_STATE_FAILED" in schemas["Song"]["properties"]["state"]["enum"]
    assert {"/v1/songs", "/v1/songs/{song_id}:save", "/v1/songs/{song_id}/events"} <= set(document["paths"])
    docs = await shared.http.get("/docs")
    assert docs.status_code == 200
    assert "http://" not in docs.text  # it works without a network
    assert "https://" not in docs.text


async def test_the_docs_show_every_tag_once_and_code_as_code(shared: Gateway, tmp_path: Path) -> None:
    for name, path in (("page", "/docs"), ("api", "/openapi.json")):
        (tmp_path / name).write_text((await shared.http.get(path)).text)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(Path(__file__).with_name("docs_page.mjs")),
        str(tmp_path / "page"),
        str(tmp_path / "api"),
        stdout=asyncio.subprocess.PIPE,
    )
    shown = json.loads((await process.communicate())[0])
    operations = [
        o for path in json.loads((tmp_path / "api").read_text())["paths"].values() for o in path.values()
    ]
    tags = [tag for operation in operations for tag in operation["tags"]]
    headings = [text for tag, text in shown if tag == "h2"]
    assert headings == [*dict.fromkeys(tags), "Messages"]
    assert ["code", "acesteps.gateway.v1.GatewayService"] in shown
    assert ["code", "/v1/songs/{song_id}/mint"] in shown
    assert not [text for _, text in shown if "`" in text]


async def test_a_start_on_a_taken_port_says_so_in_one_line(shared: Gateway) -> None:
    settings = shared.settings
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_DATABASE_URL": settings.database_url.get_secret_value(),
        "GATEWAY_OBJECTS_URL": settings.objects_url,
        "GATEWAY_LYRICS_TARGET": settings.lyrics_target,
        "GATEWAY_MUSIC_TARGET": settings.music_target,
        "GATEWAY_SIGNER_TARGET": settings.signer_target,
        "GATEWAY_HTTP_PORT": str(settings.http_port),
        "GATEWAY_WORKERS": "0",
        "GATEWAY_LOG_LEVEL": "ERROR",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    (line,) = errors.decode().splitlines()
    assert f"127.0.0.1:{settings.http_port}" in line
    assert "port taken" in line


async def test_no_answer_waits_for_the_acknowledgement_of_its_head(shared: Gateway) -> None:
    """With Nagle's algorithm on, every body would: 40 ms with clients that delay what they acknowledge."""
    assert (await shared.http.get("/healthz")).status_code == 200
    connections = [c for c in gc.get_objects() if isinstance(c, H11Protocol) and not c.transport.is_closing()]
    assert connections
    for connection in connections:
        served = connection.transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
