"""A song whose attempt failed: made again, or failed at once where that would be of no use."""

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import InvalidField, PermissionDenied, ResourceExhausted, Unavailable
from tests.gateway.mesh import Gateway, Mesh
from tests.gateway.pods import Script

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def test_a_song_whose_engine_dies_is_made_again_the_same(shared_pods: Mesh, shared: Gateway) -> None:
    script = Script(pause_after=2, error=Unavailable("ENGINE_DIED", "it died"))
    script.go_on.set()
    shared_pods.music.follow(script)
    song = await shared.ended((await shared.create()).id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)
    first, second = shared_pods.music.specs
    assert first == second
    assert not song.HasField("failure")


@pytest.mark.parametrize(
    "error",
    [
        ResourceExhausted("OUT_OF_MEMORY", "too long for this pod"),
        InvalidField("OUT_OF_RANGE", "duration_s", "too long"),
    ],
    ids=lambda error: error.reason,
)
async def test_what_would_fail_again_fails_the_song_at_once(
    shared_pods: Mesh, shared: Gateway, error: ResourceExhausted
) -> None:
    shared_pods.music.follow(Script(error=error))
    song = await shared.ended((await shared.create()).id)
    assert (song.state, song.attempt, song.failure.reason) == (pb.SONG_STATE_FAILED, 1, error.reason)


async def test_a_language_that_nobody_writes_fails_the_song_at_once(shared: Gateway) -> None:
    song = await shared.ended((await shared.create(instrumental=False, language="fr")).id)
    assert (song.attempt, song.failure.reason) == (1, "LANGUAGE_UNSUPPORTED")


async def test_our_own_quarrels_with_a_pod_are_retried(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(error=PermissionDenied("CALLER_NOT_ALLOWED", "not on the list")))
    song = await shared.ended((await shared.create()).id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)


@pytest.mark.parametrize(
    "part", ["audio_sha256", "master_sha256", "state_sha256", "timeline_sha256", "audio_cid"]
)
async def test_a_song_that_is_not_what_its_result_says_is_not_taken(
    shared_pods: Mesh, shared: Gateway, part: str
) -> None:
    shared_pods.music.follow(Script(lie={part: "bafynothing" if part == "audio_cid" else b"x" * 32}))
    song = await shared.ended((await shared.create()).id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_SUCCEEDED, 2)  # the second told the truth


async def test_words_survive_the_attempt_that_had_them_written(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.follow(Script(error=Unavailable("ENGINE_DIED", "it died")))
    song = await shared.ended((await shared.create(instrumental=False)).id)
    assert song.attempt == 2
    assert len(shared_pods.lyrics.requests) == 1
    assert [spec.title for spec in shared_pods.music.specs] == ["Rain On Tin"] * 2
