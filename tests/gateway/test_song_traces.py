"""How spans hang together when songs come in batches, fail, are tried again or are made of others."""

import asyncio
from itertools import pairwise

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import ResourceExhausted, Unavailable
from tests.common.spans import Spans, ids, parent_of
from tests.gateway.mesh import CALL_S, Gateway, Mesh, eventually
from tests.gateway.pods import Script

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch)


def song_of(span: ReadableSpan) -> object:
    return (span.attributes or {}).get("acesteps.song_id")


async def count(spans: Spans, name: str, number: int) -> list[ReadableSpan]:
    async def are_there() -> bool:
        return len(spans.named(name)) >= number

    await eventually(are_there)
    found = spans.named(name)
    assert len(found) == number
    return found


async def test_songs_of_a_batch_are_one_trace_and_each_has_a_span_of_its_own(
    pods: Mesh, spans: Spans
) -> None:
    gateway = await pods.open()
    asked = {"song": {"instrumental": True, "duration_s": 5}, "prompts": ["calm jazz", "slow blues"]}
    answer = await gateway.http.post("/v1/batches", json=asked, headers=TRACED)
    songs = {song["id"] for song in answer.json()["batch"]["songs"]}
    for song_id in songs:
        await gateway.ended(song_id)
    attempts = await count(spans, "attempt", 2)
    own = {ids(span)[1]: song_of(span) for span in spans.named("song")}
    assert set(own.values()) == songs
    assert {parent_of(span) for span in spans.named("song")} == {ids(spans.one("POST /v1/batches"))[1]}
    for span in (*attempts, *spans.named("queued")):
        assert own[parent_of(span)] == song_of(span)
        assert ids(span)[0] == TRACE


async def test_attempts_that_fail_say_why_and_are_one_trace_also_when_a_person_tries_again(
    pods: Mesh, spans: Spans
) -> None:
    gateway = await pods.open(max_failures=2, backoff_s=0.01)
    pods.music.follow(*(Script(error=Unavailable("ENGINE_DIED", "a secret")) for _ in range(2)))
    answer = await gateway.http.post(
        "/v1/songs", json={"prompt": "jazz", "instrumental": True, "duration_s": 5}, headers=TRACED
    )
    song_id = answer.json()["song"]["id"]
    assert (await gateway.ended(song_id)).state == pb.SONG_STATE_FAILED
    await gateway.http.post(f"/v1/songs/{song_id}:retry")
    assert (await gateway.ended(song_id)).state == pb.SONG_STATE_SUCCEEDED
    attempts = await count(spans, "attempt", 3)
    assert [span.status.description for span in attempts] == ["ENGINE_DIED", "ENGINE_DIED", None]
    told = [(s.attributes or {})["acesteps.outcome"] for s in attempts]
    assert told == ["retried", "failed", "succeeded"]
    assert [span.status.description for span in spans.named("render")] == ["ENGINE_DIED", "ENGINE_DIED", None]
    queued = spans.named("queued")
    assert [(s.attributes or {})["acesteps.attempt"] for s in queued] == [1, 2, 3]
    assert {ids(span)[0] for span in (*attempts, *queued)} == {TRACE}
    assert {parent_of(span) for span in (*attempts, *queued)} == {ids(spans.one("song"))[1]}
    # A wait begins where the one before has ended, and not again at the song's creation.
    for before, wait in pairwise(queued):
        assert (before.end_time or 0) <= (wait.start_time or 0) <= (wait.end_time or 0)
    assert "secret" not in "".join(span.to_json() for span in (*attempts, *spans.named("render")))


async def test_a_song_that_is_given_back_waits_anew(pods: Mesh, spans: Spans) -> None:
    gateway = await pods.open()
    pods.music.follow(Script(error=ResourceExhausted("POD_BUSY", "busy", retry_delay_s=0.3)))
    song = await gateway.ended((await gateway.create()).id)
    assert song.attempt == 2
    busy, made = await count(spans, "attempt", 2)
    assert (busy.status.description, made.status.description) == ("POD_BUSY", None)
    first, second = spans.named("queued")
    # Not from its creation on, though it has kept its place.
    assert (second.start_time or 0) >= (first.end_time or 0)
    # Claimed ahead, it waits for the pod to say that it is busy no more.
    waited = spans.named("slot")[1]
    assert 0.25e9 < (waited.end_time or 0) - (waited.start_time or 0) < 2e9


async def test_a_request_that_is_repeated_points_to_the_trace_of_the_first(pods: Mesh, spans: Spans) -> None:
    gateway = await pods.open(workers=0)
    asked = {"prompt": "jazz", "instrumental": True, "duration_s": 5, "request_id": "once"}
    first = await gateway.http.post("/v1/songs", json=asked, headers=TRACED)
    again = await gateway.http.post("/v1/songs", json=asked)
    assert first.json()["song"]["id"] == again.json()["song"]["id"]
    assert song_of(spans.one("song")) == first.json()["song"]["id"]  # and there is but one
    repeat = spans.named("POST /v1/songs")[1]
    assert ids(repeat)[0] != TRACE
    assert [f"{link.context.trace_id:032x}" for link in repeat.links] == [TRACE]


async def test_what_is_made_of_a_song_has_a_trace_that_points_to_its_sources(
    pods: Mesh, spans: Spans
) -> None:
    gateway = await pods.open()
    asked = {"prompt": "jazz", "instrumental": True, "duration_s": 5}
    source = (await gateway.http.post("/v1/songs", json=asked, headers=TRACED)).json()["song"]["id"]
    await gateway.ended(source)
    edit = {"source_song_id": source, "variation": {"variance": 0.5}}
    answer = await gateway.http.post("/v1/songs", json=edit)
    assert answer.status_code == 201, answer.text
    made = answer.json()["song"]["id"]
    await gateway.ended(made)
    request = spans.named("POST /v1/songs")[1]
    assert [f"{link.context.trace_id:032x}" for link in request.links] == [TRACE]
    assert song_of(request) == made
    (attempt,) = [span for span in await count(spans, "attempt", 2) if song_of(span) == made]
    assert ids(attempt)[0] == ids(request)[0] != TRACE


async def test_a_drain_marks_the_attempt_that_it_breaks_off(pods: Mesh, spans: Spans) -> None:
    gateway = await pods.open(drain_grace_s=0.1)
    pods.music.follow(Script(pause_after=1))
    song = await gateway.create()
    await anext(gateway.listen(song.id))
    gateway.health.draining.set()
    (attempt,) = await count(spans, "attempt", 1)
    assert attempt.status.description == "CANCELLED"


async def test_a_song_asked_for_over_grpc_is_a_trace_too(pods: Mesh, spans: Spans) -> None:
    gateway: Gateway = await pods.open()
    request = pb.CreateSongRequest(prompt="jazz", instrumental=True, duration_s=5)
    song = (await gateway.grpc.CreateSong(request, timeout=CALL_S, metadata=tuple(TRACED.items()))).song
    await gateway.ended(song.id)
    (attempt,) = await count(spans, "attempt", 1)
    async with asyncio.timeout(5):
        while not (calls := spans.named("acesteps.gateway.v1.GatewayService/CreateSong")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    server = calls[-1]
    assert parent_of(spans.one("song")) == ids(server)[1]
    assert ids(attempt)[0] == ids(server)[0]
    assert song_of(server) == song.id
