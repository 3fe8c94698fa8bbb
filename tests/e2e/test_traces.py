"""One song seen as a whole: every service's spans in one trace, its time in the queue too, and nothing of its
words."""

import asyncio
import json
import secrets
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
import pytest

from acesteps import AsyncClient
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.stack import Stack
from tests.e2e.collector import Collector, Trace

CREATOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
LYRICS_RPC = "acesteps.lyrics.v1.LyricsService/GenerateLyrics"
MUSIC_RPC = "acesteps.music.v1.MusicService/GenerateSong"
SIGNER_RPC = "acesteps.signer.v1.SignerService/SignMintPermit"
SERVER, CLIENT = 2, 3
# Of nothing else that runs here.
SECRET_WORDS = ("zebrafinch", "quokka")


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=20) as client:
        yield client


def new_trace() -> tuple[str, Mapping[str, str]]:
    """Its id, and the header of a caller who samples it."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}


async def created(http: httpx.AsyncClient, headers: Mapping[str, str], **fields: Any) -> httpx.Response:
    answer = await http.post("/v1/songs", json={"duration_s": 6} | fields, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer


async def ended(http: httpx.AsyncClient, song_id: str) -> Mapping[str, Any]:
    async with http.stream("GET", f"/v1/songs/{song_id}/events") as events:
        lines = [line async for line in events.aiter_lines() if line.startswith("data: ")]
    song: Mapping[str, Any] = json.loads(lines[-1].removeprefix("data: "))
    return song


def has(*names: str, missing: int = 1) -> Callable[[Trace], bool]:
    """These spans and all parents but so many: the caller's, who sends none."""
    return lambda trace: set(names) <= {span.name for span in trace.spans} and trace.missing <= missing


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_song_is_one_trace_across_the_services(
    stack: Stack, http: httpx.AsyncClient, collector: Collector
) -> None:
    # Others come first, so that it has to wait.
    earlier = {"prompt": "ambient pads", "instrumental": True, "duration_s": 20}
    for _ in range(3):
        await created(http, {}, **earlier)
    trace_id, headers = new_trace()
    answer = await created(
        http, headers, prompt=f"jazz hop about a {SECRET_WORDS[0]}", title="Quokka", creator_address=CREATOR
    )
    assert answer.headers["traceresponse"].split("-")[1] == trace_id
    song_id = answer.json()["song"]["id"]
    song = await ended(http, song_id)
    assert song["state"] == "SONG_STATE_SUCCEEDED"

    trace = await asyncio.to_thread(collector.trace, trace_id, has("POST /v1/songs", "attempt", "engine"))
    attempt = ["POST /v1/songs", "song", "attempt"]
    assert trace.path(trace.named("queued")[0]) == ["POST /v1/songs", "song", "queued"]
    assert trace.path(trace.one(LYRICS_RPC, "lyrics")) == [*attempt, "lyrics", LYRICS_RPC, LYRICS_RPC]
    assert trace.path(trace.one("engine", "music")) == [*attempt, "render", MUSIC_RPC, MUSIC_RPC, "engine"]
    assert trace.path(trace.one("store")) == [*attempt, "store"]
    for rpc in (LYRICS_RPC, MUSIC_RPC):
        assert [span.kind for span in trace.named(rpc)] == [CLIENT, SERVER]
    assert trace.one("song").attributes["acesteps.song_id"] == song_id
    whole = trace.named("attempt")[-1]
    assert whole.attributes["acesteps.outcome"] == "succeeded"
    # On a slow machine an attempt that waited for a slot too long comes before.
    assert {span.error for span in trace.spans} <= {None, "NO_POD_READY"}

    first, last = trace.named("queued")[0], trace.named("queued")[-1]
    assert first.start_s == pytest.approx(moment(song["create_time"]), abs=0.01)
    assert last.end_s == pytest.approx(moment(song["start_time"]), abs=0.01)
    assert first.seconds > 0.1
    # Children lie within what they are part of.
    for name in ("slot", "render", "store"):
        part = trace.named(name, "gateway")[-1]
        assert whole.start_s <= part.start_s <= part.end_s <= whole.end_s

    saved = await http.post(f"/v1/songs/{song_id}:save", json={})
    assert saved.status_code == 200, saved.text
    save = "POST /v1/songs/{song_id}:save"
    of_save = saved.headers["traceresponse"].split("-")[1]
    trace = await asyncio.to_thread(collector.trace, of_save, has(save, "sign", missing=0))
    assert trace.one(save).links == [trace_id]
    assert trace.path(trace.one("sign", "signer")) == [save, SIGNER_RPC, SIGNER_RPC, "sign"]


async def test_no_span_holds_words_tokens_or_signatures(
    http: httpx.AsyncClient, artist: AsyncClient, collector: Collector
) -> None:
    words = f"[verse]\nThe {SECRET_WORDS[0]} sings at the sill\nThe {SECRET_WORDS[1]} sits very still\n"
    trace_id, headers = new_trace()
    answer = await created(http, headers, prompt=f"a waltz for {SECRET_WORDS[0]}", lyrics=words)
    song_id = answer.json()["song"]["id"]
    await ended(http, song_id)
    token = (await http.post(f"/v1/songs/{song_id}:share")).json()["url"].rsplit("/", 1)[1]
    assert (await http.get(f"/v1/shared/{token}", headers=headers)).status_code == 200
    signed = (await http.post(f"/v1/songs/{song_id}/audio:sign", json={})).json()["url"]
    assert (await http.get(signed, headers=headers)).status_code == 200
    found = await http.get("/v1/songs", params={"query": SECRET_WORDS[1]}, headers=headers)
    assert found.status_code == 200
    refused = await http.post("/v1/songs", json={"prompt": f"{SECRET_WORDS[0]} sung by Taylor Swift"})
    assert refused.status_code >= 400
    routes = {"GET /v1/shared/{share_token}", "GET /v1/songs/{song_id}/audio", "GET /v1/songs", "attempt"}
    await asyncio.to_thread(collector.trace, trace_id, has(*routes))
    signature = httpx.URL(signed).params["signature"]
    everything = "\n".join(span.text for span in collector.spans).lower()
    assert song_id in everything
    for secret in (*SECRET_WORDS, "sits very still", token.lower(), signature.lower()):
        assert secret not in everything


async def test_a_killed_attempt_and_its_successor_are_one_trace(
    stack: Stack, http: httpx.AsyncClient, artist: AsyncClient, collector: Collector
) -> None:
    trace_id, headers = new_trace()
    asked = {"prompt": "epic orchestral", "instrumental": True, "duration_s": 100}
    song_id = (await created(http, headers, **asked)).json()["song"]["id"]
    async for seen in artist.watch(song_id):
        if seen.HasField("first_audio_time"):
            break
    await asyncio.to_thread(stack.wait_ready, "gateway", stack.kill("gateway"))
    song = await artist.finish(song_id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)

    trace = await asyncio.to_thread(collector.trace, trace_id, has("attempt", "attempt reaped", missing=4))
    dead, alive = trace.one("attempt reaped"), trace.one("attempt")
    assert (dead.attributes["acesteps.attempt"], dead.error) == (1, "LEASE_EXPIRED")
    assert (alive.attributes["acesteps.attempt"], alive.attributes["acesteps.outcome"]) == (2, "succeeded")
    first, second = trace.named("queued")
    assert {span.parent_id for span in (dead, alive, first, second)} == {trace.one("song").span_id}
    assert first.end_s == pytest.approx(dead.start_s, abs=0.001)
    assert dead.end_s == pytest.approx(second.start_s, abs=0.5)
    assert second.end_s <= alive.start_s + 0.05


async def test_a_workers_log_lines_are_found_by_the_songs_trace(
    stack: Stack, http: httpx.AsyncClient, collector: Collector
) -> None:
    trace_id, headers = new_trace()
    answer = await created(http, headers, prompt="gentle folk", instrumental=True)
    song_id = answer.json()["song"]["id"]
    await ended(http, song_id)
    trace = await asyncio.to_thread(collector.trace, trace_id, has("attempt", "engine"))

    def line(service: str, message: str) -> dict[str, Any]:
        for text in stack.folder.log(service).read_text().splitlines():
            if trace_id in text and (found := json.loads(text))["message"] == message:
                return dict(found)
        raise AssertionError(f"{service} did not say {message!r} in the trace")

    assert line("gateway", "attempt ended")["span_id"] == trace.one("attempt").span_id
    assert line("music", "song ended")["span_id"] == trace.named(MUSIC_RPC, "music")[0].span_id


async def test_latencies_lead_to_traces_for_those_who_read_openmetrics(
    http: httpx.AsyncClient, collector: Collector, metrics_ports: Mapping[str, int]
) -> None:
    trace_id, headers = new_trace()
    asked = {"prompt": "calm piano", "creator_address": CREATOR}
    song_id = (await created(http, headers, **asked)).json()["song"]["id"]
    await ended(http, song_id)
    saved = await http.post(f"/v1/songs/{song_id}:save", json={}, headers=headers)
    assert saved.status_code == 200, saved.text
    await asyncio.to_thread(collector.trace, trace_id, has("attempt"))
    for service, metric in (
        ("gateway", "acesteps_gateway_http_request_seconds"),
        ("gateway", "acesteps_gateway_first_audio_seconds"),
        ("gateway", "acesteps_gateway_song_seconds"),
        ("music", "acesteps_music_first_audio_seconds"),
        ("lyrics", "acesteps_lyrics_writing_seconds"),
        ("signer", "acesteps_signer_permit_seconds"),
        ("signer", "acesteps_grpc_handling_seconds"),
    ):
        lines = scraped(metrics_ports[service], "application/openmetrics-text; version=1.0.0")
        assert any(
            line.startswith(f"{metric}_bucket") and f'# {{trace_id="{trace_id}"}}' in line for line in lines
        ), metric
        assert any(line.startswith(f'acesteps_build_info{{service="{service}"') for line in lines)
    assert not [line for line in scraped(metrics_ports["gateway"], "text/plain") if trace_id in line]


def scraped(port: int, accept: str) -> list[str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.headers["content-type"].startswith(accept.partition(";")[0])
        return str(answer.read().decode()).splitlines()


async def test_probes_make_no_traces(http: httpx.AsyncClient, collector: Collector) -> None:
    trace_id, headers = new_trace()
    for path in ("/healthz", "/readyz"):
        answer = await http.get(path, headers=headers)
        assert "traceresponse" not in answer.headers
    assert (await http.get("/v1/songs", headers=headers)).status_code == 200
    trace = await asyncio.to_thread(collector.trace, trace_id, has("GET /v1/songs"))
    assert [span.name for span in trace.spans] == ["GET /v1/songs"]
    assert not [span for span in collector.spans if "grpc.health" in span.name or "readyz" in span.text]
