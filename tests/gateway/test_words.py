"""Words without a song, over both faces: as they are found, as a whole, and given up with their caller."""

import asyncio
import json
from typing import Any

import grpc
import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from services.common.errors import FailedPrecondition
from tests.gateway.mesh import CALL_S, NOBODY, Gateway, Mesh, eventually, problem_of
from tests.gateway.pods import LINES, document

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]

EVENTS = {"accept": "text/event-stream"}


def brief(**fields: Any) -> pb.WriteLyricsRequest:
    return pb.WriteLyricsRequest(brief=lyrics_pb.GenerateLyricsRequest(**{"theme": "rain", **fields}))


async def test_words_come_as_they_are_found(shared: Gateway, shared_pods: Mesh) -> None:
    asked = brief(seed=7, form=lyrics_pb.GenerateLyricsRequest.FORM_RAP, required_words=["tin"])
    told = [response.lyrics async for response in shared.grpc.WriteLyrics(asked, timeout=CALL_S)]
    assert [event.WhichOneof("event") for event in told] == ["progress", "line", "line", "result"]
    assert [event.line.text for event in told[1:3]] == list(LINES)
    assert told[3].result.document == document("Rain On Tin")
    assert shared_pods.lyrics.requests == [asked.brief]


async def test_rest_gives_the_document_or_the_events(shared: Gateway, shared_pods: Mesh) -> None:
    body = {"brief": {"theme": "rain", "seed": 7}}
    whole = await shared.http.post("/v1/lyrics", json=body)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "application/json")
    result = whole.json()["lyrics"]["result"]
    assert [line["text"] for line in result["document"]["sections"][0]["lines"]] == list(LINES)
    streamed = await shared.http.post("/v1/lyrics", json=body, headers=EVENTS)
    assert streamed.headers["content-type"] == "text/event-stream"
    events = [event.splitlines() for event in streamed.text.split("\n\n") if "data: " in event]
    assert [name for name, _ in events] == [
        "event: progress", "event: line", "event: line", "event: result",
    ]  # fmt: skip
    assert json.loads(events[-1][1].removeprefix("data: ")) == whole.json()
    assert [request.seed for request in shared_pods.lyrics.requests] == [7, 7]


@pytest.mark.parametrize("headers", [{}, EVENTS])
@pytest.mark.parametrize(
    ("asked", "status", "reason", "field"),
    [
        ({}, 400, "REQUIRED", "brief.theme"),
        ({"brief": {"theme": ""}}, 400, "REQUIRED", "brief.theme"),
        ({"brief": {"theme": "rain", "language": "fr"}}, 501, "LANGUAGE_UNSUPPORTED", None),
    ],
)
async def test_the_lyrics_services_errors_are_passed_on(
    shared: Gateway, asked: Any, status: int, reason: str, field: str | None, headers: dict[str, str]
) -> None:
    problem = problem_of(await shared.http.post("/v1/lyrics", json=asked, headers=headers))
    assert (problem["status"], problem["reason"], problem.get("field")) == (status, reason, field)
    request = pb.WriteLyricsRequest(brief=lyrics_pb.GenerateLyricsRequest(**asked.get("brief", {})))
    error = await shared.refusal("WriteLyrics", request)
    assert (error.reason, error.metadata.get("field")) == (reason, field)


async def test_an_error_after_the_first_event_breaks_the_body(shared: Gateway, shared_pods: Mesh) -> None:
    lyrics = shared_pods.lyrics
    lyrics.failure = FailedPrecondition("BRIEF_UNMET", "that cannot be sung", metadata={"field": "theme"})
    error = await shared.refusal("WriteLyrics", brief())
    assert (error.reason, error.metadata["field"]) == ("BRIEF_UNMET", "brief.theme")
    problem = problem_of(await shared.http.post("/v1/lyrics", json={"brief": {"theme": "rain"}}))
    assert (problem["status"], problem["field"]) == (409, "brief.theme")
    with pytest.raises(Exception, match="incomplete chunked read"):
        await shared.http.post("/v1/lyrics", json={"brief": {"theme": "rain"}}, headers=EVENTS)


async def test_words_are_judged_alike(shared: Gateway, shared_pods: Mesh) -> None:
    shared_pods.lyrics.gate = "LINE_TOO_LONG"
    asked = pb.ReviewLyricsRequest(lyrics=lyrics_pb.ReviewLyricsRequest(text="one\ntwo", duration_s=30))
    review = (await shared.grpc.ReviewLyrics(asked, timeout=CALL_S)).review
    assert [finding.code for finding in review.review.findings] == ["LINE_TOO_LONG"]
    assert [line.text for line in review.document.sections[0].lines] == ["one", "two"]
    body = {"lyrics": {"text": "one\ntwo", "duration_s": 30}}
    answer = (await shared.http.post("/v1/lyrics:review", json=body)).json()["review"]
    assert [finding["code"] for finding in answer["review"]["findings"]] == ["LINE_TOO_LONG"]
    assert shared_pods.lyrics.reviews == [asked.lyrics, asked.lyrics]


async def test_a_lyrics_service_that_is_away_is_named(shared_pods: Mesh) -> None:
    alone = await shared_pods.open(workers=0, lyrics_target=NOBODY)
    for rpc, request in (("WriteLyrics", brief()), ("ReviewLyrics", pb.ReviewLyricsRequest())):
        error = await alone.refusal(rpc, request)
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_POD_READY")
    for path in ("/v1/lyrics", "/v1/lyrics:review"):
        answer = await alone.http.post(path, json={})
        assert (answer.status_code, problem_of(answer)["reason"]) == (503, "NO_POD_READY")
        assert "retry-after" in answer.headers


@pytest.mark.parametrize("face", ["grpc", "json", "events"])
async def test_a_caller_that_leaves_stops_the_writing(shared: Gateway, shared_pods: Mesh, face: str) -> None:
    lyrics = shared_pods.lyrics
    lyrics.go_on.clear()
    lyrics.ended.clear()

    async def ask() -> None:
        if face == "grpc":
            async for _ in shared.grpc.WriteLyrics(brief(), timeout=CALL_S):
                pass
        else:
            headers = EVENTS if face == "events" else {}
            await shared.http.post("/v1/lyrics", json={"brief": {"theme": "rain"}}, headers=headers)

    async def writing() -> bool:
        return bool(lyrics.requests)

    asking = asyncio.create_task(ask())
    await eventually(writing)
    assert not lyrics.ended.is_set()
    asking.cancel()
    await asyncio.wait_for(lyrics.ended.wait(), CALL_S)
