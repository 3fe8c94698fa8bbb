"""Several songs in one request: all or none, once only, watched and stopped as one, over both faces."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from google.protobuf import json_format

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.batch_store import BatchStore
from services.gateway.database import open_database
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]

PROMPTS = ["calm jazz hop, 84 bpm", "slow ambient piano"]
SHORT: dict[str, Any] = {"instrumental": True, "duration_s": 5.0}


def batch_of(song: Mapping[str, Any] = SHORT, **fields: Any) -> pb.CreateBatchRequest:
    """Two short instrumentals, unless the fields say otherwise."""
    return pb.CreateBatchRequest(**{"prompts": PROMPTS, "song": pb.CreateSongRequest(**song), **fields})


async def created(gateway: Gateway, request: pb.CreateBatchRequest | None = None) -> pb.CreateBatchResponse:
    return await gateway.grpc.CreateBatch(request or batch_of(), timeout=CALL_S)


async def watched(gateway: Gateway, batch_id: str, cursor: str = "") -> list[pb.WatchBatchResponse]:
    """All that is told until the batch's end."""
    request = pb.WatchBatchRequest(batch_id=batch_id, cursor=cursor)
    return [event async for event in gateway.grpc.WatchBatch(request, timeout=CALL_S)]


async def songs_in_all(gateway: Gateway) -> int:
    listed = await gateway.grpc.ListSongs(pb.ListSongsRequest(page_size=100), timeout=CALL_S)
    return len(listed.songs)


async def test_each_prompt_is_made_so_many_times_in_order(shared: Gateway) -> None:
    request = batch_of({**SHORT, "seed": 2**32 - 2, "title": "Rain"}, variations=2)
    response = await created(shared, request)
    songs = response.batch.songs
    assert [song.prompt for song in songs] == [prompt for prompt in PROMPTS for _ in range(2)]
    assert [song.seed for song in songs] == [2**32 - 2, 2**32 - 1, 0, 1]
    assert {(song.batch_id, song.title) for song in songs} == {(response.batch.id, "Rain")}
    await watched(shared, response.batch.id)
    batch = (await shared.grpc.GetBatch(pb.GetBatchRequest(batch_id=response.batch.id), timeout=CALL_S)).batch
    assert [song.id for song in batch.songs] == [song.id for song in songs]
    assert {song.state for song in batch.songs} == {pb.SONG_STATE_SUCCEEDED}
    assert len({song.audio.sha256 for song in batch.songs}) == 4
    listed = await shared.grpc.ListSongs(pb.ListSongsRequest(batch_id=batch.id), timeout=CALL_S)
    assert [song.id for song in listed.songs] == [song.id for song in reversed(songs)]  # newest first


async def test_seeds_that_are_not_given_are_drawn_and_name_the_untitled(shared: Gateway) -> None:
    songs = (await created(shared, batch_of(prompts=PROMPTS[:1], variations=4))).batch.songs
    assert len({song.seed for song in songs}) == 4
    assert [song.title for song in songs] == [f"Untitled {song.seed & 0xFFFF:04X}" for song in songs]


async def test_the_prompt_may_stand_in_the_song(shared: Gateway) -> None:
    response = await created(
        shared, batch_of({**SHORT, "prompt": "  calm   piano "}, prompts=[], variations=2)
    )
    assert [song.prompt for song in response.batch.songs] == ["calm piano"] * 2
    assert [found.prompt for found in response.findings] == ["calm piano"]


async def test_the_review_advises_on_every_prompt(shared: Gateway) -> None:
    prompts = ["piano", "slow jazz with piano, calm, 70 bpm"]
    response = await created(shared, batch_of(prompts=prompts, variations=3))
    assert [found.prompt for found in response.findings] == prompts
    for found in response.findings:
        review = await shared.grpc.ReviewPrompt(pb.ReviewPromptRequest(prompt=found.prompt), timeout=CALL_S)
        assert list(found.findings) == list(review.findings)


async def test_one_refused_prompt_refuses_them_all(shared: Gateway) -> None:
    before = await songs_in_all(shared)
    request = batch_of(prompts=[*PROMPTS, "a song in the exact voice of Freddie Mercury"])
    error = await shared.refusal("CreateBatch", request)
    assert (error.reason, error.metadata["field"]) == ("PROMPT_REFUSED", "prompts[2]")
    body = json_format.MessageToDict(request, preserving_proto_field_name=True)
    problem = problem_of(await shared.http.post("/v1/batches", json=body))
    assert (problem["status"], problem["field"], problem["rule"]) == (
        409, "prompts[2]", error.metadata["rule"],
    )  # fmt: skip
    assert await songs_in_all(shared) == before


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (pb.CreateBatchRequest(), "REQUIRED", "prompts"),
        (batch_of(request_id="a b"), "MALFORMED", "request_id"),
        (batch_of(prompts=["calm"] * 17), "OUT_OF_RANGE", "prompts"),
        (batch_of(variations=9), "OUT_OF_RANGE", "variations"),
        (batch_of(prompts=["calm"] * 16, variations=5), "OUT_OF_RANGE", "variations"),
        (batch_of(prompts=["calm", " "]), "REQUIRED", "prompts[1]"),
        (batch_of(prompts=["calm", "x" * 1001]), "TOO_LONG", "prompts[1]"),
        (batch_of({"prompt": "x" * 1001}, prompts=[]), "TOO_LONG", "song.prompt"),
        (batch_of({"prompt": "calm"}), "CONFLICT", "song.prompt"),
        (batch_of({"request_id": "a"}), "CONFLICT", "song.request_id"),
        (batch_of({"duration_s": 4.0}), "OUT_OF_RANGE", "song.duration_s"),
        (batch_of({"source_song_id": str(UUID(int=0))}), "SONG_NOT_FOUND", "song.source_song_id"),
        (batch_of({"variation": {"variance": 0.5}}), "REQUIRED", "song.source_song_id"),
    ],
)
async def test_a_bad_batch_is_refused_alike(
    shared: Gateway, request_: pb.CreateBatchRequest, reason: str, field: str
) -> None:
    error = await shared.refusal("CreateBatch", request_)
    assert (error.reason, error.metadata["field"]) == (reason, field)
    body = json_format.MessageToDict(request_, preserving_proto_field_name=True)
    problem = problem_of(await shared.http.post("/v1/batches", json=body))
    assert (problem["reason"], problem["field"]) == (reason, field)
    assert problem["limit"]


async def test_a_repeat_is_the_same_batch_over_either_face(shared: Gateway) -> None:
    request = batch_of({**SHORT, "lyrics": "", "seed": 7}, request_id=f"once-{uuid4()}", variations=2)
    first = await created(shared, request)
    body = json_format.MessageToDict(request, preserving_proto_field_name=True)
    again = await shared.http.post("/v1/batches", json=body)
    assert again.status_code == 201
    assert again.headers["location"] == f"/v1/batches/{first.batch.id}"
    songs = [song["id"] for song in again.json()["batch"]["songs"]]
    assert songs == [song.id for song in first.batch.songs]
    request.song.seed = 8
    error = await shared.refusal("CreateBatch", request)
    assert (error.reason, error.metadata["batch_id"]) == ("REQUEST_ID_REUSED", first.batch.id)


async def test_repeats_at_the_same_moment_make_one_batch(shared: Gateway) -> None:
    request = batch_of(request_id=f"race-{uuid4()}")
    before = await songs_in_all(shared)
    answers = await asyncio.gather(*(created(shared, request) for _ in range(8)))
    assert len({answer.batch.id for answer in answers}) == 1
    assert await songs_in_all(shared) == before + 2


async def test_a_song_is_varied_several_times_at_once(shared: Gateway, shared_pods: Mesh) -> None:
    source, _ = await made(shared, creator_address=CREATOR, title="Rain")
    song = {"source_song_id": source.id, "variation": {"variance": 0.3}}
    batch = (await created(shared, batch_of(song, prompts=[], variations=3))).batch
    await watched(shared, batch.id)
    for varied in batch.songs:
        assert (varied.source_song_id, varied.prompt, varied.title) == (source.id, source.prompt, "Rain")
        assert varied.creator_address == CREATOR
        assert varied.variation.variance == 0.3
    assert len(shared_pods.music.sources) == 3


async def test_given_words_are_looked_at_once_and_refuse_them_all(shared: Gateway, shared_pods: Mesh) -> None:
    words = {"lyrics": "my own line\r\nand another", "duration_s": 5.0}
    before = await songs_in_all(shared)
    shared_pods.lyrics.gate = "LINE_TOO_LONG"
    error = await shared.refusal("CreateBatch", batch_of(words, variations=4))
    assert (error.reason, error.metadata["rule"]) == ("LYRICS_REFUSED", "LINE_TOO_LONG")
    assert len(shared_pods.lyrics.reviews) == 1
    assert await songs_in_all(shared) == before


async def test_cancelling_a_batch_stops_what_has_not_ended(shared: Gateway, shared_pods: Mesh) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(Script(), script)
    batch = (await created(shared, batch_of(prompts=PROMPTS[:1]))).batch
    (done,) = batch.songs
    await shared.ended(done.id)
    batch = (await created(shared, batch_of(variations=3))).batch
    await script.paused.wait()
    request = pb.CancelBatchRequest(batch_id=batch.id)
    cancelled = (await shared.grpc.CancelBatch(request, timeout=CALL_S)).batch
    await asyncio.wait_for(script.ended.wait(), CALL_S)
    running = next(song for song in cancelled.songs if song.attempt)
    assert running.state == pb.SONG_STATE_CANCELLED
    assert {song.state for song in cancelled.songs} <= {pb.SONG_STATE_CANCELLED, pb.SONG_STATE_SUCCEEDED}
    again = await shared.http.post(f"/v1/batches/{batch.id}:cancel")
    assert [song["revision"] for song in again.json()["batch"]["songs"]] == [
        song.revision for song in cancelled.songs
    ]
    assert (await shared.get(done.id)).state == pb.SONG_STATE_SUCCEEDED


async def test_a_watch_tells_every_song_to_its_end_and_goes_on_at_any_cursor(shared: Gateway) -> None:
    batch = (await created(shared, batch_of(variations=2))).batch
    events = await watched(shared, batch.id)
    ends = {song.id: song.revision for song in batch.songs}
    seen: list[dict[str, int]] = [{}]
    for event in events:
        assert event.song.revision > seen[-1].get(event.song.id, 0) or event.song.progress.queue_position
        seen.append({**seen[-1], event.song.id: event.song.revision})
        ends[event.song.id] = event.song.revision
    assert set(seen[-1]) == set(ends) == {song.id for song in batch.songs}
    for event, known in zip(events, seen[1:], strict=True):
        resumed = await watched(shared, batch.id, event.cursor)
        assert [e.song.id for e in resumed] == [s.id for s in batch.songs if known.get(s.id) != ends[s.id]]
        assert all(e.song.state == pb.SONG_STATE_SUCCEEDED for e in resumed)


async def sent(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(id, data) of every `song` event."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line and "data" in event:
            assert event["event"] == "song"
            yield event["id"], json.loads(event["data"])
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


async def test_events_over_http_resume_and_end(shared: Gateway, shared_pods: Mesh) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    batch = (await created(shared)).batch
    url, cursor = f"/v1/batches/{batch.id}/events", ""
    async with shared.http.stream("GET", url) as response:
        assert response.headers["content-type"] == "text/event-stream"
        async for id_, _ in sent(response):
            cursor = id_
            if script.paused.is_set():
                break
    script.go_on.set()
    states = {}
    async with shared.http.stream("GET", url, headers={"last-event-id": cursor}) as response:
        async for id_, song in sent(response):
            cursor, states[song["id"]] = id_, song["state"]
    assert set(states.values()) == {"SONG_STATE_SUCCEEDED"}
    for ask in ({"headers": {"last-event-id": cursor}}, {"params": {"cursor": cursor}}):
        assert (await shared.http.get(url, **ask)).status_code == 204


async def test_deleted_songs_are_left_out(shared: Gateway) -> None:
    batch = (await created(shared)).batch
    await watched(shared, batch.id)
    gone, kept = batch.songs
    await shared.grpc.DeleteSong(pb.DeleteSongRequest(song_id=gone.id), timeout=CALL_S)
    read = (await shared.grpc.GetBatch(pb.GetBatchRequest(batch_id=batch.id), timeout=CALL_S)).batch
    assert [song.id for song in read.songs] == [kept.id]
    assert [event.song.id for event in await watched(shared, batch.id)] == [kept.id]


async def test_a_watch_ends_when_its_last_song_is_deleted(shared: Gateway, shared_pods: Mesh) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    batch = (await created(shared, batch_of(prompts=PROMPTS[:1]))).batch
    await script.paused.wait()
    watching = asyncio.create_task(watched(shared, batch.id))
    await asyncio.sleep(0.1)
    await shared.grpc.DeleteSong(pb.DeleteSongRequest(song_id=batch.songs[0].id), timeout=CALL_S)
    assert all(event.song.state != pb.SONG_STATE_CANCELLED for event in await watching)


@pytest.mark.parametrize("batch_id", [str(UUID(int=0)), "nonsense", "{" + str(UUID(int=1)) + "}"])
async def test_an_unknown_batch_is_unknown_everywhere(shared: Gateway, batch_id: str) -> None:
    for rpc, request in (
        ("GetBatch", pb.GetBatchRequest), ("WatchBatch", pb.WatchBatchRequest),
        ("CancelBatch", pb.CancelBatchRequest),
    ):  # fmt: skip
        error = await shared.refusal(rpc, request(batch_id=batch_id))
        assert (error.reason, error.metadata["field"]) == ("BATCH_NOT_FOUND", "batch_id")
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", ":cancel")):
        answer = await shared.http.request(method, f"/v1/batches/{batch_id}{path}")
        assert (answer.status_code, problem_of(answer)["reason"]) == (404, "BATCH_NOT_FOUND")


async def test_another_accounts_batch_can_be_neither_read_nor_stopped(
    shared: Gateway, shared_pods: Mesh
) -> None:
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    batch = (await created(shared, batch_of(prompts=PROMPTS[:1]))).batch
    await script.paused.wait()
    dsn = shared.settings.database_url.get_secret_value()
    async with open_database(dsn, connections=1) as database:
        store, other, batch_id = BatchStore(database), uuid4(), UUID(batch.id)
        assert await store.get(other, batch_id) is None
        assert await store.changed(other, batch_id, {}) == []
        await store.cancel(other, batch_id)
    assert (await shared.get(batch.songs[0].id)).state == pb.SONG_STATE_RUNNING


async def test_a_cursor_of_another_batch_is_refused_alike(shared: Gateway) -> None:
    first, second = [(await created(shared)).batch.id for _ in range(2)]
    cursor = (await watched(shared, first))[-1].cursor
    for wrong in (cursor, "nonsense", "ä", cursor + "A", "A" * 5000):
        error = await shared.refusal("WatchBatch", pb.WatchBatchRequest(batch_id=second, cursor=wrong))
        assert (error.reason, error.metadata["field"]) == ("MALFORMED", "cursor")
        problem = problem_of(await shared.http.get(f"/v1/batches/{second}/events", params={"cursor": wrong}))
        assert (problem["reason"], problem["field"]) == ("MALFORMED", "cursor")
